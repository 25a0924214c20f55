"""The session of one client: a message in, effects out."""
