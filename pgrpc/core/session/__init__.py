"""One client's protocol: a message in, effects out."""
