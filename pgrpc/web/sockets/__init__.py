"""WebSockets: frames in and out, what waits to be sent, what a session asks for."""
