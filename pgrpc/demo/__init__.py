"""The demo, and the PostgreSQL that it brings."""
