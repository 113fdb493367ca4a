"""What a container changes for its user: what is lost with it, and what to do about permissions."""

import os
import sys
from pathlib import Path
from typing import NamedTuple

KEEP_RESULTS = '-v "$PWD/results:/results"'
MOUNT_DATA = '-v "$PWD/data:/data:ro"'
KEEP_CACHE = "-v submission-cache:/cache"
_KEEPS_NOTHING = ("overlay", "fuse-overlayfs", "aufs", "tmpfs", "ramfs")


class Mount(NamedTuple):
    """A line of /proc/self/mountinfo."""

    point: Path
    kind: str
    source: str


def container_kind(root: Path = Path("/")) -> str | None:
    """`docker`, `podman` or `apptainer` inside one, else None. `root`: for tests."""
    if "APPTAINER_CONTAINER" in os.environ or "SINGULARITY_CONTAINER" in os.environ:
        return "apptainer"
    if (root / "run/.containerenv").exists():
        return "podman"
    # Virtual machines that were made from an image have this file too, but a disk of their own.
    if (root / ".dockerenv").exists() and not mount_of(Path("/"), root).source.startswith("/dev/"):
        return "docker"
    return None


def mount_of(path: Path, root: Path = Path("/")) -> Mount:
    """The mount that `path`, which need not exist, lies in. `root`: for tests."""
    found = Mount(Path("/"), "", "")
    try:
        lines = (root / "proc/self/mountinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return found
    for line in lines:
        before, _, after = line.partition(" - ")
        point, (kind, source, *_) = Path(before.split()[4]), after.split()
        # Later mounts hide earlier ones.
        if path.absolute().is_relative_to(point) and len(point.parts) >= len(found.point.parts):
            found = Mount(point, kind, source)
    return found


def is_lost(folder: Path, root: Path = Path("/")) -> bool:
    """Whether what is written to `folder` goes when this container is removed. `root`: for tests."""
    return container_kind(root) is not None and mount_of(folder, root).kind in _KEEPS_NOTHING


def tell_if_lost(folder: Path, what: str, option: str) -> None:
    """Say on standard error that `what` in `folder` goes with this container, and which `option` keeps it."""
    if is_lost(folder):
        print(f"{what} in {folder} will be lost with this container; to keep it, give {option}", file=sys.stderr)


def give_data() -> str:
    """What a user does who has the data sets, to follow `and`."""
    return f"mount their folder with {MOUNT_DATA}" if container_kind() else "give their folder as --data"


def as_seen_outside(path: Path, root: Path = Path("/")) -> str:
    """`path`, and where a user looks for it who mounted a folder into this container. `root`: for tests."""
    point = mount_of(path, root).point
    if container_kind(root) is None or point == Path("/"):
        return str(path)
    return f"{path.relative_to(point)} in the folder mounted at {point}"


def permission_advice(folder: Path, root: Path = Path("/")) -> str:
    """What to do where a container may not write to `folder`; empty outside one. `root`: for tests."""
    if container_kind(root) is None:
        return ""
    point = mount_of(folder, root).point
    if point == Path("/"):
        return f"nothing is mounted there: give {KEEP_RESULTS} for results, {KEEP_CACHE} for caches"
    owner, user = _owner(point), os.getuid()
    told = f"the folder mounted at {point} belongs to user {owner} and this is user {user}; "
    if _is_rootless(root):
        return told + "your container engine is rootless, where root in the container is you: give --user 0:0"
    return told + 'make it yourself before `docker run -v`, and give --user "$(id -u):$(id -g)"'


def _owner(folder: Path) -> int | str:
    try:
        return folder.stat().st_uid
    except OSError:
        return "unknown"


def _is_rootless(root: Path) -> bool:
    """Whether root in here is an ordinary user outside."""
    try:
        inside, outside, _ = (root / "proc/self/uid_map").read_text(encoding="ascii").splitlines()[0].split()
    except (OSError, ValueError, IndexError):
        return False
    return inside == "0" and outside != "0"
