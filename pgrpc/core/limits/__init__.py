"""How often and how many: rate limits, counts, quotas of connections."""
