"""What `doctor` says of each thing that it has found: pure functions from facts to a sentence and what to do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from evaluation.base.card import why_unused
from evaluation.base.challenge import Challenge
from evaluation.base.container import give_data
from harness.gpu.nvml import Card

Status = Literal["ok", "warn", "missing"]

OLDEST_PYTHON = (3, 11)
# GB: what a run of digits cannot do without, and what the challenge's data sets want
MIN_DISK_GB, ENOUGH_DISK_GB = 0.5, 10.0
MIN_MEMORY_GB, ENOUGH_MEMORY_GB = 1.5, 8.0
CHECKED = "digits"  # the data set whose run decides the exit code
NEEDED = {"python", "torch", "clock", "disk", "memory", "default", f"data: {CHECKED}"}  # without these it does not work


@dataclass(frozen=True)
class Check:
    """One finding: `warn` for what limits this machine, `missing` for what some run needs; `todo` empty for nothing."""

    name: str
    status: Status
    sentence: str
    todo: str = ""

    @property
    def needed(self) -> bool:
        return self.name in NEEDED


def check_python(version: tuple[int, int]) -> Check:
    found = f"Python {version[0]}.{version[1]}"
    if version >= OLDEST_PYTHON:
        return Check("python", "ok", f"{found}.")
    oldest = ".".join(map(str, OLDEST_PYTHON))
    return Check("python", "missing", f"{found} is too old.", f"Install Python {oldest} or newer.")


def check_clock(follows_families: bool, has_cgroup: bool) -> Check:
    """Whether everything that a generator starts can be found and killed at the deadline."""
    if not follows_families:
        todo = "Use Linux with /proc mounted."
        return Check("clock", "missing", "Processes cannot be followed here, so no clock can be held.", todo)
    how = "a control group" if has_cgroup else "the process tree (no control group can be made, which is fine)"
    return Check("clock", "ok", f"Generators are held by {how}.")


def check_process_limit(limited: bool) -> Check:
    """Whether a `--command` can have only so many processes, so that it is dead soon after the deadline."""
    if limited:
        return Check("process limit", "ok", "A --command can start only so many processes.")
    found = "Nothing here limits how many processes a --command starts: one that never stops can stall it."
    todo = "Run programs of strangers as a user who is not root, or where control groups count processes (pids)."
    return Check("process limit", "warn", found, todo)


def check_gpu(cards: Sequence[Card], driver: str | None, why_none: str, contained: bool = False) -> Check:
    """`contained`: in a container, which sees no card unless it is given one."""
    if not cards:
        reason = why_none or "the driver knows of no card"
        todo = "Nothing for small generators; large pretrained models want a card with a driver."
        todo += " Give it to the container: docker run --gpus all, apptainer run --nv." if contained else ""
        return Check("gpu", "warn", f"No NVIDIA card: {reason}. Everything runs on the processor.", todo)
    named = ", ".join(f"{card.name} ({card.memory_gb:g} GB)" if card.memory_gb else card.name for card in cards)
    found = f"{named}; driver {driver or 'unknown'}."
    if len(cards) > 1:
        return Check("gpu", "warn", found, "The challenge has one card: choose it with CUDA_VISIBLE_DEVICES=0.")
    return Check("gpu", "ok", found)


def check_torch(version: str, cuda_build: str | None, cuda_works: bool, cards: int, driver: str | None) -> Check:
    if cuda_works:
        return Check("torch", "ok", f"PyTorch {version} computes on the card (CUDA {cuda_build}).")
    if not cards:
        return Check("torch", "ok", f"PyTorch {version}, on the processor.")
    found, todo = why_unused(version, cuda_build, driver)
    return Check("torch", "warn", f"The card is not used: PyTorch {found}.", todo)


def check_container(kind: str | None, cores: int, memory_gb: float, lost: Sequence[str]) -> Check:
    """`lost`: options of `docker run` that would keep what is lost with the container, by what is lost."""
    where = f"In a container ({kind})" if kind else "In no container"
    found = f"{where}, with {cores} core{'' if cores == 1 else 's'} and {memory_gb:.1f} GB of memory"
    if not lost:
        return Check("container", "ok", f"{found}.")
    return Check("container", "warn", f"{found}; what it writes is lost with it.", f"Give {' and '.join(lost)}.")


def check_disk(free_gb: float, writable: bool, place: str, advice: str = "") -> Check:
    """`advice`: on permissions in a container."""
    if not writable:
        todo = f"{advice[:1].upper()}{advice[1:]}." if advice else "Go to another folder, or give --out."
        return Check("disk", "missing", f"Nothing can be written to {place}.", todo)
    found = f"{free_gb:.1f} GB free for runs in {place}."
    if free_gb < MIN_DISK_GB:
        return Check("disk", "missing", found, f"Make room, or write elsewhere: {MIN_DISK_GB:g} GB at least.")
    if free_gb < ENOUGH_DISK_GB:
        return Check("disk", "warn", found, f"Data sets, weights and runs want about {ENOUGH_DISK_GB:g} GB.")
    return Check("disk", "ok", found)


def check_memory(available_gb: float | None) -> Check:
    if available_gb is None:
        return Check("memory", "warn", "The system does not say how much memory is free.")
    found = f"{available_gb:.1f} GB of memory available."
    if available_gb < MIN_MEMORY_GB:
        return Check("memory", "missing", found, f"Close programs: {MIN_MEMORY_GB:g} GB at least.")
    if available_gb < ENOUGH_MEMORY_GB:
        return Check("memory", "warn", found, f"The challenge's data sets want about {ENOUGH_MEMORY_GB:g} GB.")
    return Check("memory", "ok", found)


def check_data(challenge: Challenge, at_hand: Mapping[str, bool], looked_in: str) -> Check:
    """`at_hand` by split."""
    name = f"data: {challenge.name}"
    absent = [split for split, there in at_hand.items() if not there]
    if not absent:
        return Check(name, "ok", f"{challenge.title} is at hand.")
    if challenge.name == CHECKED:
        todo = "Install the project's requirements; scikit-learn carries it."
        return Check(name, "missing", f"{challenge.title} is not there.", todo)
    todo = f"A run with a network fetches it before the clock; else unpack the publisher's archive and {give_data()}."
    return Check(name, "missing", f"No {' or '.join(absent)} split of {challenge.title} in {looked_in}.", todo)


def check_generators(rows: Sequence[Mapping[str, Any]]) -> Check:
    """`rows` as `harness.commands.generators.rows` gives them."""
    ready = [f"{row['name']} ({', '.join(row['ready'])})" for row in rows if row["missing"] and row["ready"]]
    everywhere = [row["name"] for row in rows if not row["missing"]]
    nowhere = [row["name"] for row in rows if not row["ready"]]
    found = f"On every data set: {', '.join(everywhere) or 'none'}."
    found += f" On some: {'; '.join(ready)}." if ready else ""
    if not nowhere:
        return Check("generators", "ok", found)
    todo = "What each lacks: python -m harness generators NAME."
    return Check("generators", "warn", f"{found} Not yet: {', '.join(nowhere)}.", todo)


def check_default(rows: Sequence[Mapping[str, Any]], names: Sequence[str]) -> Check:
    """Whether one of the default generators, in the order of `names`, can make digits."""
    ready = [name for name in names if any(row["name"] == name and CHECKED in row["ready"] for row in rows)]
    if ready:
        return Check("default", "ok", f"`run --dataset {CHECKED}` uses the generator {ready[0]}.")
    todo = "Install the project whole: its weights lie in submission/shipped."
    return Check("default", "missing", f"No default generator has weights for {CHECKED}.", todo)


def check_compiler(compiler: str | None) -> Check:
    if compiler:
        return Check("compiler", "ok", f"The fast judge builds its kernels with {Path(compiler).name}.")
    todo = "Install g++ (Debian and Ubuntu: the package g++)."
    return Check("compiler", "warn", "No C++ compiler: the fast judge runs uncompiled on a processor, slower.", todo)


def check_docker(installed: bool, server: str | None) -> Check:
    """`server` is the version that the engine gave; None where it gave none."""
    if server:
        return Check("docker", "ok", f"Docker {server} answers.")
    if not installed:
        return Check("docker", "warn", "Docker is not installed.", "Only containers need it.")
    todo = "Start it, or join the group docker; only containers need it."
    return Check("docker", "warn", "Docker is installed, but its engine does not answer.", todo)


def is_ready(checks: Sequence[Check]) -> bool:
    """Whether a run of digits works: nothing that it needs is missing."""
    return not any(check.needed and check.status == "missing" for check in checks)
