"""Limits of clients: rate limits, counts, quotas of connections."""
