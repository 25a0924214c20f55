"""HTTP and WebSockets: everything that talks to clients. It and the sockets of compat are all that imports tornado."""
