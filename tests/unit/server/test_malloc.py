"""Freed memory stays with the process: taking it again costs no page faults."""

import subprocess
import sys

import pytest

PROGRAM = """
import resource, sys
if sys.argv[1:]:
    from pgrpc.server import malloc
    malloc.keep_freed()

def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

text = "x" * 5_000_000
for _ in range(3):
    (text + "y").encode() + b"z"
before = faults()
for _ in range(10):
    (text + "y").encode() + b"z"
print(faults() - before)
"""


def faults(*arguments: str) -> int:
    done = subprocess.run([sys.executable, "-c", PROGRAM, *arguments], capture_output=True, text=True, check=True)
    return int(done.stdout)


@pytest.mark.skipif(sys.platform != "linux", reason="ONLY GLIBC'S ALLOCATOR IS SET: this is no Linux")
def test_what_was_freed_is_used_again_without_asking_the_kernel() -> None:
    without, kept = faults(), faults("kept")
    assert without > 10_000, "Python's allocator gives nothing back here: keep_freed may not be needed any more"
    assert kept < without / 10
