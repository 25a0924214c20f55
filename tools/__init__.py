"""Programs for whoever works on pgrpc; no part of the wheel."""
