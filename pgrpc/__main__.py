"""`python -m pgrpc`: the same as the command `pgrpc`."""

from pgrpc import cli

if __name__ == "__main__":
    raise SystemExit(cli.main())
