"""The running server: its parts, its workers, what they share, and what an operator can do to it."""
