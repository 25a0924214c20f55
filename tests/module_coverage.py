"""Owns one rule: each module of pgrpc.core is covered 100 %, branches too, by its own test file alone.

Coverage that a neighbour's tests happen to give says nothing about what a module promises.
Run it from the project's folder; names of modules limit it to those.
"""

import os
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent


def modules() -> list[str]:
    core = PROJECT / "pgrpc" / "core"
    return sorted(str(path.relative_to(core))[:-3] for path in core.rglob("*.py") if path.stem != "__init__")


def uncovered(module: str) -> str:
    """What is wrong with a module's own tests; nothing if all is well."""
    group, name = module.split("/")
    test = f"tests/unit/core/{group}/test_{name}.py"
    if not (PROJECT / test).exists():
        return f"pgrpc/core/{module}.py has no {test}"
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "COVERAGE_FILE": str(Path(folder) / "coverage")}
        source = f"--include=pgrpc/core/{module}.py"
        commands = (
            # -p no:cov: one measurement at a time. The cache is the full run's.
            ("run", "--branch", source, "-m", "pytest", "-q", "-p", "no:cov", "-p", "no:cacheprovider", test),
            ("report", source, "--show-missing", "--fail-under=100"),
        )
        for command in commands:
            ran = subprocess.run(
                [sys.executable, "-m", "coverage", *command],
                cwd=PROJECT,
                env=environment,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
            if ran.returncode != 0:
                return f"{test} alone:\n{ran.stdout.rstrip()}"
    return ""


def main(names: list[str]) -> int:
    chosen = names or modules()
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        faults = [fault for fault in pool.map(uncovered, chosen) if fault]
    for fault in faults:
        sys.stdout.write(fault + "\n\n")
    sys.stdout.write(f"own tests cover {len(chosen) - len(faults)} of {len(chosen)} modules of pgrpc.core completely\n")
    return 1 if faults else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
