"""A Ray cluster: joining it, what a task takes of it, and whether its nodes can do the work."""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from evaluation.base.interruption import interruptible
from harness.compare.engines.node_steps import installed, look_at_node

_CONNECT_WITHIN_S = 10.0
_LOOK_WITHIN_S = 120.0
_CARD_KIND = "accelerator_type:"


@contextmanager
def joined(address: str | None) -> Iterator[ModuleType]:
    """Inside, the module `ray` is connected to the cluster at `address`, RAY_ADDRESS or one of this machine alone.

    Raises ValueError where Ray is not installed or the cluster cannot be joined.
    """
    address = address or os.environ.get("RAY_ADDRESS")
    own = {"include_dashboard": False} if address is None else {}
    if address is not None:
        _check_address(address)
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"  # read when it is imported
    try:
        import ray
    except ImportError:
        raise ValueError(
            "--engine ray needs Ray, which is not installed: pip install 'generative-distillation-harness[ray]', or"
            " pip install ray==2.60.0"
        ) from None
    try:
        ray.init(address or "local", log_to_driver=False, logging_level="ERROR", **own)
    except (OSError, RuntimeError, ValueError) as error:
        why = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise ValueError(f"the Ray cluster {address or 'of this machine'} cannot be joined: {why}") from None
    try:
        with interruptible():  # Ray has put its own answer to SIGTERM in the place of ours
            yield ray
    finally:
        ray.shutdown()


def _check_address(address: str) -> None:
    """Raises ValueError, at once where Ray would try for long, if no cluster can be there."""
    if address.startswith("ray://"):
        raise ValueError(
            f"{address} is of Ray's client; start bench on a machine of the cluster with --address HOST:PORT"
        )
    found = re.fullmatch(r"\[?([^\]]+)\]?:(\d+)", address)
    if found is None:
        if address in ("auto", "local"):
            return
        raise ValueError(
            f"{address!r} is no address of a Ray cluster; write HOST:PORT, as `ray start --head` prints it"
        )
    try:
        socket.create_connection((found[1], int(found[2])), _CONNECT_WITHIN_S).close()
    except (OSError, OverflowError) as error:
        why = getattr(error, "strerror", None) or error
        raise ValueError(
            f"no Ray cluster answers at {address} ({why}); start one with `ray start --head`, and bench on one of its"
            " machines"
        ) from None


@dataclass(frozen=True)
class Share:
    """What a task takes of its node, and how many such tasks the cluster has room for."""

    num_cpus: float
    num_gpus: float
    places: int

    def takes_part(self, offer: Mapping[str, float]) -> bool:
        """Whether a node with these resources has room for a task."""
        return offer.get("CPU", 0) >= self.num_cpus and offer.get("GPU", 0) >= self.num_gpus

    def __str__(self) -> str:
        each = "a card" if self.num_gpus else f"a node of {self.num_cpus:g} processors"
        return f"{self.places} tasks at a time, each with {each}"


def share_of(nodes: Sequence[Mapping[str, Any]], device: str) -> Share:
    """A card for each task where there are cards, with its part of the processors; else a whole node.

    A node smaller than the largest does nothing then, so that all clocks run on as many processors.

    Args:
        nodes: as `ray.nodes()` gives them.

    Raises:
        ValueError: there is none to work on.
    """
    offers = [node["Resources"] for node in nodes if node["Alive"]]
    with_cards = [offer for offer in offers if offer.get("GPU", 0) >= 1]
    if device == "cuda" and not with_cards:
        raise ValueError("--device cuda: no node of the Ray cluster offers a GPU; start nodes with --num-gpus")
    if device != "cpu" and with_cards:
        cpus = min(offer.get("CPU", 0) // offer["GPU"] for offer in with_cards)
        return Share(cpus, 1, int(sum(offer["GPU"] for offer in with_cards)))
    most = max((offer.get("CPU", 0) for offer in offers), default=0)
    if most < 1:
        raise ValueError("no node of the Ray cluster offers a processor; start nodes with `ray start --num-cpus`")
    return Share(most, 0, sum(offer.get("CPU", 0) == most for offer in offers))


def kinds_of_cards(nodes: Sequence[Mapping[str, Any]]) -> list[str]:
    """The kinds of cards that Ray knows of."""
    names = {name for node in nodes if node["Alive"] for name in node["Resources"] if name.startswith(_CARD_KIND)}
    return sorted(name.removeprefix(_CARD_KIND) for name in names)


def check_nodes(ray: ModuleType, share: Share, datasets: Sequence[str], data: str | None) -> None:
    """Raises ValueError for the first node that has other code or packages than this machine, or lacks a data set."""
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    look, here = ray.remote(look_at_node), installed()
    looked = {}
    for node in ray.nodes():
        if node["Alive"] and share.takes_part(node["Resources"]):
            there = NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
            looks = look.options(num_cpus=0, scheduling_strategy=there)
            looked[looks.remote(tuple(datasets), data)] = node["NodeManagerAddress"]
    for ref, address in looked.items():
        try:
            facts = ray.get(ref, timeout=_LOOK_WITHIN_S)
        except ray.exceptions.RayError as error:
            why = str(error).strip().splitlines()[-1]
            raise ValueError(
                f"node {address} cannot work ({why}); install this project there, the same version as here"
            ) from None
        if facts.installed != here:
            raise ValueError(
                f"node {address} has {facts.installed}, but this machine has {here}: install the same version of this"
                " project and its packages on all nodes"
            )
        if facts.missing:
            where = f"in {data}, nor in its cache" if data else "in its cache"
            raise ValueError(
                f"node {address} has no {' and '.join(facts.missing)} {where}: put the data at the same place on all"
                " nodes, as on a shared file system, and name it with --data"
            )
