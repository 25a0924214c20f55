"""psqlisten2websocket: one channel for every client, at /ws."""
