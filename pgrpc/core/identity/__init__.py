"""Who a client is: its role, and the claims of its token."""
