"""The container engine: Docker, or Podman through its Docker-compatible socket; and what our runs own there.

Everything made for a run carries the run's label, so that one call removes it, and the label of its harness, so that
the next run finds what a killed one has left.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from docker import DockerClient

RUN_LABEL = "submission.run"
HARNESS_LABEL = "submission.harness"
UNTIL_LABEL = "submission.until"  # UNIX seconds after which nobody needs it any more

ANSWERS_IN_S = 60.0  # pulling says something more often
_STANDS_FOR_S = 3600.0  # beyond the budget, for making it ready and for copying the images out


@dataclass(frozen=True)
class Image:
    """An image that is on the engine.

    Attributes:
        name: as the user gave it.
        id, digests: what it really is; no digest where it never was in a registry.
        architecture: as Go names it: amd64, arm64.
        volumes: paths that it declares as volumes, which would be places to write to.
    """

    name: str
    id: str
    digests: tuple[str, ...]
    architecture: str
    volumes: tuple[str, ...]


def problems() -> tuple[type[Exception], ...]:
    """What the engine's client raises, whether the engine refuses, does not answer or is gone."""
    from docker.errors import DockerException
    from requests import RequestException
    from urllib3.exceptions import HTTPError

    return DockerException, RequestException, HTTPError, OSError


def explain(problem: Exception) -> str:
    """The engine's own words on it, in one line."""
    return " ".join(str(getattr(problem, "explanation", None) or problem).split()).rstrip(".")


def connect() -> DockerClient:
    """The engine that DOCKER_HOST names, else Docker's usual socket. Raises ValueError where none answers."""
    from docker import from_env
    from docker.constants import DEFAULT_UNIX_SOCKET

    where = os.environ.get("DOCKER_HOST") or DEFAULT_UNIX_SOCKET.removeprefix("http+")
    why = "there is no such socket"
    if not where.startswith("unix://") or Path(where.removeprefix("unix://")).is_socket():
        try:
            return from_env(timeout=ANSWERS_IN_S)
        except problems() as problem:
            why = explain(problem)
    raise ValueError(
        f"no container engine answers at {where}: {why}; start Docker and see that you may use it, or set DOCKER_HOST"
        " to the socket of Docker or of `podman system service`"
    )


@contextmanager
def refusals(doing: str, todo: str) -> Iterator[None]:
    """Inside, what the engine refuses is a ValueError: `doing`, its own words, and what to do."""
    try:
        yield
    except problems() as problem:
        raise ValueError(f"{doing}: {explain(problem)}; {todo}") from None


def find_image(client: DockerClient, name: str) -> Image:
    """The image `name`, pulled where it is not on the engine. Raises ValueError where it cannot be had."""
    from docker.errors import ImageNotFound

    with refusals(
        f"the image {name!r} cannot be had", "check the name and the network, or build it: docker build -t NAME ."
    ):
        try:
            found = client.images.get(name)
        except ImageNotFound:
            found = client.images.pull(name)
    described = found.attrs
    return Image(
        name=name,
        id=described["Id"],
        digests=tuple(described.get("RepoDigests") or ()),
        architecture=described["Architecture"],
        volumes=tuple(described["Config"].get("Volumes") or ()),
    )


def labels(run: str, budget_s: float) -> dict[str, str]:
    """The labels of what is made now for a run of this budget."""
    until = time.time() + budget_s + _STANDS_FOR_S
    return {RUN_LABEL: run, HARNESS_LABEL: _this_process(), UNTIL_LABEL: f"{until:.0f}"}


def remove_run(client: DockerClient, run: str) -> None:
    """Kill and remove every container of a run, then its volumes. Raises one of `problems()` where that fails."""
    from docker.errors import NotFound

    ours = {"label": f"{RUN_LABEL}={run}"}
    for container in client.containers.list(all=True, filters=ours, ignore_removed=True):
        with suppress(NotFound):
            container.remove(force=True, v=True)
    for volume in client.volumes.list(filters=ours):
        with suppress(NotFound):
            volume.remove(force=True)


def remove_leftovers(client: DockerClient) -> int:
    """Remove what killed harnesses have left on the engine; the number of their runs."""
    found = [container.labels for container in client.containers.list(all=True, filters={"label": RUN_LABEL})]
    found += [volume.attrs.get("Labels") or {} for volume in client.volumes.list(filters={"label": RUN_LABEL})]
    left = {each[RUN_LABEL] for each in found if _is_left(each)}
    for run in left:
        remove_run(client, run)
    return len(left)


def local_pid(state: dict[str, Any], container_id: str) -> int | None:
    """The first process of a container, where it runs and is among the processes that we see.

    Args:
        state: the container's `State`, as the engine describes it.
    """
    pid = state.get("Pid") or 0
    with suppress(OSError):
        # Another machine's engine, or one outside our own container, means another process by this number.
        if pid and container_id in Path(f"/proc/{pid}/cgroup").read_text(encoding="ascii"):
            return int(pid)
    return None


def _is_left(its: dict[str, str]) -> bool:
    """Whether the labels are of a harness that is dead, as far as it can be seen from here."""
    owner = its.get(HARNESS_LABEL, "")
    here, _, process = owner.rpartition("/")
    if here == _this_process().rpartition("/")[0]:
        pid, _, began = process.partition("+")
        return not pid.isdecimal() or _began(int(pid)) != began
    until = its.get(UNTIL_LABEL, "")
    return re.fullmatch(r"\d{1,12}", until) is not None and int(until) < time.time()


def _this_process() -> str:
    """Names this process among all there ever were: boot, process namespace, number, and when it began."""
    boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    namespace = Path("/proc/self/ns/pid").stat().st_ino
    return f"{boot}/{namespace}/{os.getpid()}+{_began(os.getpid())}"


def _began(pid: int) -> str | None:
    """When a process began, in ticks since the machine's start; None where it is dead."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
    except OSError:
        return None
    return None if fields[0] in (b"Z", b"X") else fields[19].decode()
