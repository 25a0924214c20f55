"""The rule that a pure module's own tests cover it: what it says where they do, and where they do not."""

import re
import subprocess
import sys

from tests.support.pgrpc_server import ROOT

OWN = "tests/unit/core/wire/test_errors.py"
NEIGHBOUR = "tests/unit/core/functions/test_catalog.py"


def judged(*arguments: str) -> tuple[int, str]:
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--module-coverage", *arguments]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    return ran.returncode, ran.stdout


def test_own_tests_that_cover_all() -> None:
    status, words = judged("-n", "0", OWN)
    assert "own tests cover 1 of 1 modules completely" in words
    assert status == 0


def test_what_only_a_neighbour_covers_is_not_covered() -> None:
    """Here in two processes, whose data come together."""
    status, words = judged("-n", "2", OWN, NEIGHBOUR, f"--deselect={OWN}::test_pointer")
    assert "own tests cover 1 of 2 modules completely" in words
    assert re.search(rf"^pgrpc/core/wire/errors.py: {OWN} alone leaves out lines or branches \d+", words, re.MULTILINE)
    assert "failed" not in words
    assert status == 1
