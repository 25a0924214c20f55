"""postgresql2websocket."""
