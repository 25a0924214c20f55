"""Owns how a child that must not be root is started, how it goes down with us, and how it is found again.

It must not know which program that is.
"""

import contextlib
import ctypes
import dataclasses
import os
import pwd
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from pgrpc.server import signals

_LIBC = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None
_CLONE_NEWUSER = 0x10000000
_PR_SET_PDEATHSIG = 1
_POLL = 0.02


@dataclasses.dataclass(frozen=True)
class Identity:
    """Whom a program runs as.

    `uid` and `gid` are what the kernel checks files against. With an `alias`, the program has a user namespace in
    which they carry those numbers instead: root's files stay root's, and yet geteuid() is not 0.
    """

    uid: int
    gid: int
    alias: tuple[int, int] | None = None


def identities() -> Iterator[Identity]:
    """Whom it can run as, best first. A kernel or container may refuse one: the caller tries."""
    if os.geteuid() != 0:
        yield Identity(os.geteuid(), os.getegid())
        return
    nobody = pwd.getpwnam("nobody")
    if _LIBC is not None:
        yield Identity(0, 0, alias=(nobody.pw_uid, nobody.pw_gid))
    yield Identity(nobody.pw_uid, nobody.pw_gid)


def give(folder: Path, identity: Identity) -> None:
    """Make the folder that identity's, if we may and it is not yet. The top goes last: it stands for all of it."""
    if os.geteuid() != 0 or folder.stat().st_uid == identity.uid:
        return
    for place, folders, files in os.walk(folder, topdown=False):
        for name in (*files, *folders):
            os.chown(Path(place, name), identity.uid, identity.gid, follow_symlinks=False)
    os.chown(folder, identity.uid, identity.gid)


def closed_door(identity: Identity, *paths: Path) -> Path | None:
    """The first folder on the way to the paths that the identity may not enter, judged by its mode."""
    for folder in (folder for path in paths for folder in reversed(path.parents)):
        about = folder.stat()
        bit = 0o100 if about.st_uid == identity.uid else 0o010 if about.st_gid == identity.gid else 0o001
        if not about.st_mode & bit:
            return folder
    return None


def working_in(folders: Iterable[Path], programs: Collection[str]) -> set[int]:
    """The programs' processes in these folders. By where they are: a number from a file may be another's by now."""
    found = set()
    if not Path("/proc/self/cwd").exists():  # not Linux: those that name the folder on their command line
        listing = subprocess.run(["ps", "-axo", "pid=,command="], capture_output=True, text=True, check=True).stdout
        for number, _, command in (line.strip().partition(" ") for line in listing.splitlines()):
            program = os.path.basename(command.split(" -", 1)[0])
            if program in programs and any(str(folder) in command for folder in folders):
                found.add(int(number))
        return found
    places = {os.path.realpath(folder) for folder in folders}
    for number in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError):  # gone meanwhile, or somebody else's
            program = os.path.basename(os.readlink(f"/proc/{number}/exe")).removesuffix(" (deleted)")
            if program in programs and os.readlink(f"/proc/{number}/cwd") in places:
                found.add(int(number))
    return found


def spawn(
    command: Sequence[str | Path], identity: Identity, *, folder: Path, output: int, environment: Mapping[str, str]
) -> subprocess.Popen[bytes]:
    """Start a program in `folder`, in a session of its own: Ctrl-C in the terminal is for us, not for it.

    On Linux it gets SIGINT when we end, however we end, if the main thread started it: the kernel ties it to the
    thread, and another thread may end before we do. OSError or SubprocessError where it cannot run as `identity`.
    Whoever has handlers of signals that raise calls it with handlers_held().
    """
    parent = os.getpid()
    tie = threading.current_thread() is threading.main_thread()

    def prepare() -> None:
        if identity.alias:
            _enter_user_namespace(identity.uid, identity.gid, identity.alias)
        os.chdir(folder)  # not Popen's cwd, which is entered as root still
        if tie and _LIBC is not None:  # after the change of user, which would undo it
            _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGINT, 0, 0, 0)
            if os.getppid() != parent:
                os._exit(1)
        # A shell starts what it puts in the background with SIGINT and SIGQUIT ignored, and the program inherits that:
        # until it has handlers of its own, a signal from us would be lost.
        for number in (*signals.STOPPING, signal.SIGQUIT):
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, signals.STOPPING)

    drop = os.geteuid() == 0 and identity.uid != 0
    with signals.blocked():
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=environment,
            start_new_session=True,
            preexec_fn=prepare,
            user=identity.uid if drop else None,
            group=identity.gid if drop else None,
            extra_groups=() if drop else None,
        )


def _enter_user_namespace(uid: int, gid: int, alias: tuple[int, int]) -> None:
    """Runs in the child. See user_namespaces(7)."""
    assert _LIBC is not None
    if _LIBC.unshare(_CLONE_NEWUSER) != 0:
        raise OSError(ctypes.get_errno(), "unshare")
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"{alias[0]} {uid} 1")
    Path("/proc/self/gid_map").write_text(f"{alias[1]} {gid} 1")


def send_signal(pid: int, number: signal.Signals) -> None:
    """To a process that may have ended already."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def free_port(host: str) -> int:
    with socket.socket() as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])
