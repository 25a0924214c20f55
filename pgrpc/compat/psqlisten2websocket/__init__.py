"""psqlisten2websocket."""
