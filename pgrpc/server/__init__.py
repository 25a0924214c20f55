"""The running server: its parts, worker processes, shared memory, and admin commands."""
