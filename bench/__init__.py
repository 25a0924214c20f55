"""The benchmark, `make bench`: pgrpc compared with the limits of the machine, measured in the same run.

Owns the measurements. Nothing here is part of the server, and no test depends on it.
"""
