"""Who a client is, and what the claims of its token can be used for."""
