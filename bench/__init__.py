"""`make bench`: what pgrpc does in a second, beside what the machine allows in the same run.

Owns the measuring. Nothing here is part of the server, and no test depends on it.
"""
