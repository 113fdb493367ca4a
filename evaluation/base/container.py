"""What a container changes for its user: what is lost with it, and what to do about permissions."""

import os
import sys
from pathlib import Path
from typing import NamedTuple

_KEEPS_NOTHING = ("overlay", "fuse-overlayfs", "aufs", "tmpfs", "ramfs")


class Mount(NamedTuple):
    """A line of /proc/self/mountinfo."""

    point: Path
    kind: str
    source: str
    read_only: bool


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
    found = Mount(Path("/"), "", "", False)
    try:
        lines = (root / "proc/self/mountinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return found
    for line in lines:
        before, _, after = line.partition(" - ")
        _, _, _, _, where, options, *_ = before.split()
        kind, source, *_ = after.split()
        # Later mounts hide earlier ones.
        if path.absolute().is_relative_to(where) and len(Path(where).parts) >= len(found.point.parts):
            found = Mount(Path(where), kind, source, "ro" in options.split(","))
    return found


def mount_results() -> str:
    """The option that keeps the runs."""
    return "--bind results:/results" if container_kind() == "apptainer" else '-v "$PWD/results:/results"'


def mount_cache() -> str:
    """The option that keeps what is downloaded."""
    return "--bind cache:/cache" if container_kind() == "apptainer" else "-v submission-cache:/cache"


def is_lost(folder: Path, root: Path = Path("/")) -> bool:
    """Whether what is written to `folder` goes when this container is removed. `root`: for tests."""
    return container_kind(root) is not None and mount_of(folder, root).kind in _KEEPS_NOTHING


def tell_if_lost(folder: Path, what: str, option: str) -> None:
    """Say on standard error that `what` in `folder` goes with this container, and which `option` keeps it."""
    if is_lost(folder):
        print(f"{what} in {folder} will be lost with this container; to keep it, give {option}", file=sys.stderr)


def give_data() -> str:
    """What a user does who has the data sets, to follow `and`."""
    if (kind := container_kind()) is None:
        return "give their folder as --data"
    option = "--bind data:/data:ro" if kind == "apptainer" else '-v "$PWD/data:/data:ro"'
    return f"mount their folder with {option}"


def as_seen_outside(path: Path, root: Path = Path("/")) -> str:
    """`path`, and where a user looks for it who mounted a folder into this container. `root`: for tests."""
    point = mount_of(path, root).point
    if container_kind(root) is None or point == Path("/"):
        return str(path)
    return f"{path.relative_to(point)} in the folder mounted at {point}"


def permission_advice(folder: Path, root: Path = Path("/")) -> str:
    """What to do where a container may not write to `folder`; empty outside one. `root`: for tests."""
    kind, mount = container_kind(root), mount_of(folder, root)
    if kind is None:
        return ""
    if mount.point == Path("/"):
        return f"nothing is mounted there: give {mount_results()} for results, {mount_cache()} for caches"
    if mount.read_only:
        return f"{mount.point} is mounted read-only: leave out :ro"
    nearest = next((each for each in (folder.absolute(), *folder.absolute().parents) if each.exists()), mount.point)
    owner, yours = nearest.stat(), mount.point.stat()
    told = f"{nearest} belongs to user {owner.st_uid} and this is user {os.getuid()}; "
    if kind != "apptainer" and _is_rootless(root) and owner.st_uid == yours.st_uid:
        user = f"--user {owner.st_uid}:{owner.st_gid}"
        return f"{told}your container engine is rootless and knows you as the former: give {user}"
    if kind == "apptainer" or nearest != mount.point:
        return f"{told}outside, give it to that user, or name another folder"
    return f'{told}make the folder that you mount yourself, before `docker run -v`, and give --user "$(id -u):$(id -g)"'


def _is_rootless(root: Path) -> bool:
    """Whether root in here is an ordinary user outside."""
    try:
        inside, outside, _ = (root / "proc/self/uid_map").read_text(encoding="ascii").splitlines()[0].split()
    except (OSError, ValueError, IndexError):
        return False
    return inside == "0" and outside != "0"
