"""What a stranger's program is kept from: the network, other processes, the real data. Linux namespaces.

The guard starts `main` here before the clock, as the parent of the program. It makes namespaces of its own, forks the
process that will be their first, and that one starts the program when the guard says so, collects its dead and tells
how it ended. When the first process of a process namespace is gone, the kernel has killed all the others.

It runs without site packages, as the guard does. Each piece is left out where the machine does not allow it.
"""

import ctypes
import fcntl
import json
import os
import select
import socket
import struct
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Literal

from harness.clock import processes
from harness.clock.channel import Channel
from harness.clock.guard import become_generator, wake_when_a_child_dies

Piece = Literal["network", "processes", "data"]

# From linux/sched.h, sys/mount.h, linux/prctl.h, linux/capability.h and linux/if.h.
_NEW_MOUNTS, _NEW_USERS, _NEW_PROCESSES, _NEW_NETWORK = 0x00020000, 0x10000000, 0x20000000, 0x40000000
_READ_ONLY, _NO_SETUID, _NO_DEVICES, _NO_PROGRAMS, _BIND, _RECURSIVE, _PRIVATE = 1, 2, 4, 8, 4096, 1 << 14, 1 << 18
_SET_DUMPABLE, _DROP_FROM_BOUNDING_SET = 4, 24
_CAP_SYS_ADMIN, _CAP_SYS_PTRACE = 21, 19
_GET_FLAGS, _SET_FLAGS, _UP = 0x8913, 0x8914, 1
_EVERYBODY = 2**32 - 1

_libc = ctypes.CDLL(None, use_errno=True)


def main() -> None:
    """Standard input is the channel to the guard; the argument is a JSON list of files and folders to hide."""
    channel = Channel(socket.socket(fileno=0))
    hidden = [Path(path) for path in json.loads(sys.argv[1])]
    try:
        got = _enter(hidden)
    except OSError as error:
        channel.send(confined=None, why=str(error))
        return
    ready, go = socket.socketpair()
    first = os.fork()
    if first == 0:
        go.close()
        _become_first("processes" in got, ready)
        channel.send(confined=got)
        _serve(channel)
        os._exit(0)
    processes.die_with_parent()
    ready.close()
    channel.close()
    if go.recv(1):  # it waits for the map of its users, which only a process outside can write
        with suppress(OSError):
            _map_users(first, os.getuid(), os.getgid(), everybody=_may_map_everybody())
        go.send(b"!")
    code = os.waitstatus_to_exitcode(os.waitpid(first, 0)[1])
    if code < 0:
        os.kill(os.getpid(), -code)


def _enter(hidden: Sequence[Path]) -> list[Piece]:
    """Put this process, or its next child, into namespaces of its own; the pieces that were to be had.

    Raises OSError where the machine allows none.
    """
    user, group = os.getuid(), os.getgid()
    if not _works(lambda: _unshare(_NEW_MOUNTS)):
        _unshare(_NEW_USERS)
        _map_users(os.getpid(), user, group, everybody=False)
    _unshare(_NEW_MOUNTS)
    _mount("none", "/", None, _RECURSIVE | _PRIVATE)
    got: list[Piece] = []
    with suppress(OSError):
        for path in hidden:
            _hide(path)
        got += ["data"] if hidden else []
    with suppress(OSError):
        _unshare(_NEW_NETWORK)
        _raise_loopback()
        got.append("network")
    if _works(_try_processes):
        _unshare(_NEW_PROCESSES)
        got.append("processes")
    return got


def _become_first(own_processes: bool, ready: socket.socket) -> None:
    """Runs in the first process: its own view of the processes, and no way back for what it starts."""
    processes.die_with_parent()
    if own_processes:
        _mount_processes()
    # In a user namespace below the one that made the mounts they cannot be undone, not even by root.
    try:
        _unshare(_NEW_USERS | _NEW_MOUNTS)
        ready.send(b"!")
        ready.recv(1)
    except OSError:
        for capability in (_CAP_SYS_ADMIN, _CAP_SYS_PTRACE):
            _libc.prctl(_DROP_FROM_BOUNDING_SET, capability, 0, 0, 0)
    ready.close()
    processes.die_with_parent()  # what changes users forgets it
    _libc.prctl(_SET_DUMPABLE, 0, 0, 0, 0)  # so that the program cannot attach to it


def _serve(channel: Channel) -> None:
    """Start the program when the guard says so; pass signals on; tell how it ended."""
    child_died = wake_when_a_child_dies()
    launch = channel.receive()
    if launch is None:
        return
    with processes.subreaper():
        try:
            program = subprocess.Popen(
                launch["command"],
                env=launch["env"],
                cwd=launch["cwd"],
                stdin=subprocess.DEVNULL,
                start_new_session=True,
                preexec_fn=become_generator,
            )
        except (OSError, ValueError, subprocess.SubprocessError) as problem:
            channel.send(problem=str(problem))
            return
        channel.send(started=True)
        events = select.poll()
        events.register(channel, select.POLLIN)
        events.register(child_died, select.POLLIN)
        while True:
            ready = {descriptor for descriptor, _ in events.poll()}
            if channel.fileno() in ready:
                message = channel.receive()
                if message is None:
                    return
                with suppress(ProcessLookupError):
                    os.killpg(program.pid, message["signal"])
            with suppress(BlockingIOError):
                os.read(child_died, 1 << 16)
            if (status := _reap(program.pid)) is not None:
                own = int(Path("/proc/self").readlink().name)  # as /proc counts, which may be that of the machine
                stragglers = len(processes.living_descendants(own))
                channel.send(returncode=os.waitstatus_to_exitcode(status), stragglers=stragglers)
                return


def _reap(program: int) -> int | None:
    """Collect the dead; the wait status of the program if it is among them."""
    found = None
    with suppress(ChildProcessError):
        while (collected := os.waitpid(-1, os.WNOHANG))[0]:
            if collected[0] == program:
                found = collected[1]
    return found


def _works(step: Callable[[], None]) -> bool:
    """Whether a step succeeds, tried in a process that ends at once."""
    pid = os.fork()
    if pid == 0:
        with suppress(OSError):
            step()
            os._exit(0)
        os._exit(1)
    return os.waitpid(pid, 0)[1] == 0


def _try_processes() -> None:
    """Raises OSError where a process namespace, or its own /proc, cannot be had."""
    _unshare(_NEW_PROCESSES)
    if not _works(_mount_processes):
        raise OSError("no /proc for it")


def _mount_processes() -> None:
    _unshare(_NEW_MOUNTS)
    _mount("proc", "/proc", "proc", _NO_SETUID | _NO_DEVICES | _NO_PROGRAMS)


def _hide(path: Path) -> None:
    """Put something empty in the place of a file or a folder; nothing where there is none."""
    if path.is_dir():
        _mount("none", str(path), "tmpfs", _READ_ONLY, "size=4k,mode=555")
    elif path.exists():
        _mount("/dev/null", str(path), None, _BIND)


def _raise_loopback() -> None:
    """A machine has itself to talk to."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        flags = struct.unpack("16sh", fcntl.ioctl(any_socket, _GET_FLAGS, struct.pack("16sh", b"lo", 0)))[1]
        fcntl.ioctl(any_socket, _SET_FLAGS, struct.pack("16sh", b"lo", flags | _UP))


def _may_map_everybody() -> bool:
    """Whether this process has the rights of root over all users of the machine."""
    return os.getuid() == 0 and Path("/proc/self/uid_map").read_text().split()[2] == str(_EVERYBODY)


def _map_users(pid: int, user: int, group: int, everybody: bool) -> None:
    """Let users and groups of a new user namespace be the same outside: this one, or everybody."""
    count = _EVERYBODY if everybody else 1
    user, group = (0, 0) if everybody else (user, group)
    if not everybody:
        Path(f"/proc/{pid}/setgroups").write_text("deny")
    Path(f"/proc/{pid}/uid_map").write_text(f"{user} {user} {count}")
    Path(f"/proc/{pid}/gid_map").write_text(f"{group} {group} {count}")


def _unshare(what: int) -> None:
    if _libc.unshare(what) != 0:
        raise _error(f"unshare {what:#x}")


def _mount(source: str, target: str, kind: str | None, flags: int, options: str | None = None) -> None:
    source_, target_ = os.fsencode(source), os.fsencode(target)
    kind_, options_ = (text.encode() if text else None for text in (kind, options))
    if _libc.mount(source_, target_, kind_, ctypes.c_ulong(flags), options_) != 0:
        raise _error(f"mount on {target}")


def _error(what: str) -> OSError:
    code = ctypes.get_errno()
    return OSError(code, f"{what}: {os.strerror(code)}")
