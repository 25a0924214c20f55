"""The functions that can be called: PostgreSQL types, the allowlist, the catalog."""
