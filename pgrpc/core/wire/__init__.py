"""What travels: JSON text, JSON-RPC messages, the methods of the protocol itself, errors, WebSocket frames."""
