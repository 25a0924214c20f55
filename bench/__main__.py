"""Runs all benchmarks and prints one table: `python -m bench [--quick]`.

Owns the command line, the database and the table. Compare a figure only with the baseline in its line, which was
measured immediately before or after it. Figures are medians of five runs (of one with --quick).
"""

import argparse
import os
import sys
import tempfile
from pathlib import Path

import psycopg2

from bench import parts
from pgrpc.demo import embedded

_FUNCTIONS = """
create function add(a int, b int) returns int language sql immutable as 'select a + b';
create function large() returns text language sql immutable as $$ select repeat('x', 5000000) $$;
create function many(a int[]) returns int language sql immutable as 'select cardinality(a)';
create function judged(a text) returns int language sql immutable as 'select length(a)';
"""


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench")
    parser.add_argument("--quick", action="store_true", help="one short run of each part instead of the median of five")
    parser.add_argument("--plain", action="store_true", help="without the accelerators of pgrpc[fast]")
    parser.add_argument("--only", default="everything", choices=parts.NAMES, help="run one part")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="pgrpc-bench-") as name:
        folder = Path(name)
        folder.chmod(0o755)  # if this runs as root, PostgreSQL runs as another user
        with embedded.Server(folder / "postgresql", settings={"max_connections": "100"}) as postgresql:
            dsn = postgresql.dsn()
            notifier = psycopg2.connect(dsn)
            notifier.autocommit = True
            with notifier.cursor() as cursor:
                cursor.execute(_FUNCTIONS)
            notifier.close()
            runs, seconds = (1, 2.0) if options.quick else (5, 2.5)
            bench = parts.Bench(folder, dsn, runs, seconds, not options.plain)
            getattr(bench, options.only)()
    widths = [max(len(row[i]) for row in bench.rows) for i in range(4)]
    sys.stdout.write(f"{'with' if not options.plain else 'without'} pgrpc[fast], {os.cpu_count()} processors\n\n")
    heads = ("what", "pgrpc", "baseline", "ratio")
    for cells in (heads, tuple("-" * 3 for _ in heads), *bench.rows):
        sys.stdout.write("| " + " | ".join(c.ljust(w) for c, w in zip(cells, widths, strict=True)) + " |\n")


if __name__ == "__main__":
    main()
