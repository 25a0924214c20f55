"""The servers that pgrpc replaces: one folder for each, with its settings and what its clients speak."""
