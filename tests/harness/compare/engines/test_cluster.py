"""What a task takes of a cluster, and clusters that are not there."""

from __future__ import annotations

import builtins
import socket
import sys
from typing import Any

import pytest

from harness.compare.engines.cluster import joined, kinds_of_cards, share_of


def nodes(*offers: dict[str, float]) -> list[dict[str, Any]]:
    return [{"Alive": True, "Resources": offer} for offer in offers]


def test_a_task_takes_a_card_where_there_are_cards() -> None:
    found = nodes({"CPU": 32, "GPU": 4}, {"CPU": 12, "GPU": 2}, {"CPU": 64})
    share = share_of(found, "auto")
    assert (share.num_gpus, share.num_cpus, share.places) == (1, 6, 6)
    assert [share.takes_part(node["Resources"]) for node in found] == [True, True, False]


def test_without_cards_a_task_takes_a_whole_node_of_the_largest_kind() -> None:
    found = nodes({"CPU": 2}, {"CPU": 16}, {"CPU": 16}, {})
    share = share_of(found, "auto")
    assert (share.num_gpus, share.num_cpus, share.places) == (0, 16, 2)
    assert [share.takes_part(node["Resources"]) for node in found] == [False, True, True, False]
    assert share_of(nodes({"CPU": 8, "GPU": 1}), "cpu").num_gpus == 0


def test_dead_nodes_do_not_count() -> None:
    found = [*nodes({"CPU": 4}), {"Alive": False, "Resources": {"CPU": 64, "GPU": 8}}]
    assert share_of(found, "auto").num_cpus == 4


def test_a_cluster_without_what_is_asked_for_is_told() -> None:
    with pytest.raises(ValueError, match="no node of the Ray cluster offers a GPU"):
        share_of(nodes({"CPU": 4}), "cuda")
    with pytest.raises(ValueError, match="offers a processor"):
        share_of(nodes({}), "auto")


def test_kinds_of_cards_are_named() -> None:
    assert kinds_of_cards(nodes({"accelerator_type:H100": 1, "GPU": 1}, {"accelerator_type:A100": 1})) == [
        "A100",
        "H100",
    ]


@pytest.mark.parametrize(
    ("address", "sentence"),
    [("nowhere", "write HOST:PORT"), ("ray://10.0.0.1:10001", "Ray's client"), ("127.0.0.1:99999", "answers at")],
)
def test_an_address_that_cannot_be_right_is_told(address: str, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence), joined(address):
        pass


def test_an_address_where_nothing_listens_is_told() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
    with (
        pytest.raises(ValueError, match=f"no Ray cluster answers at 127.0.0.1:{port} .*refused"),
        joined(f"127.0.0.1:{port}"),
    ):
        pass


def test_without_ray_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without_ray(name: str, *rest: Any) -> Any:
        if name == "ray":
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without_ray)
    monkeypatch.delitem(sys.modules, "ray", raising=False)
    with pytest.raises(ValueError, match=r"pip install 'generative-distillation-harness\[ray\]'"), joined(None):
        pass
