"""WebSockets: reading frames, sending replies and events, and the handlers of /rpc and /listen."""
