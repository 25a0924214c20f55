"""postgresql2websocket: channels at /{channel}, and SQL text on the same socket."""
