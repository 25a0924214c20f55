"""pgrpc lets browsers call PostgreSQL functions and receive NOTIFY events over one WebSocket."""

__version__ = "0.1.0.dev0"
