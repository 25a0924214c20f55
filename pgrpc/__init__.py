"""pgrpc puts a PostgreSQL database on a WebSocket: schema-checked calls and NOTIFY events on one socket."""

__version__ = "0.1.0.dev0"
