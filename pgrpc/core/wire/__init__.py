"""The wire format: JSON, JSON-RPC messages, the protocol's own methods, errors, WebSocket frames."""
