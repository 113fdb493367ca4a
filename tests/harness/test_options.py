from typing import Any

import pytest

from harness.options import RunOptions
from harness.parse import parse_ipc, parse_settings, parse_steps


@pytest.mark.parametrize(
    ("asked", "sentence"),
    [
        ({"dataset": "cifar10"}, "choose one of"),
        ({"generator": "noise", "command": "x"}, "exclude each other"),
        ({"command": "x", "steps": 4}, "put it into --command"),
        ({"steps": 0}, "--steps must be at least 1"),
        ({"rounds": 0}, "--rounds must be at least 1"),
        ({"epochs": 0}, "--epochs must be at least 1"),
        ({"keep": 0.0}, "--keep must be above 0"),
        ({"command": "x", "keep": 0.9}, "--keep is for the project's own generators"),
        ({"ipc": 0}, "--ipc must be at least 1"),
        ({"grace_s": 70.0}, "less than the budget"),
    ],
)
def test_bad_options_are_refused_in_one_sentence(asked: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        RunOptions(**{"dataset": "digits", **asked})


def test_the_challenge_gives_budget_and_cap() -> None:
    options = RunOptions("cifar100")
    assert (options.budget, options.ipc_cap, options.generator_name) == (600.0, 1000, "gaussian")
    assert RunOptions("digits").generator_name == RunOptions("cifar100", weights="mine").generator_name == "native"
    assert RunOptions("digits", ipc="none", command="x").ipc_cap is None


def test_values_as_people_write_them() -> None:
    assert (parse_ipc(None), parse_ipc("none"), parse_ipc("40")) == (None, "none", 40)
    assert (parse_steps("auto"), parse_steps("12")) == (None, 12)
    assert parse_settings(["a=b", "c=d=e"]) == {"a": "b", "c": "d=e"}


@pytest.mark.parametrize("bad", [["a"], ["=b"], ["a=1", "a=2"]])
def test_bad_settings(bad: list[str]) -> None:
    with pytest.raises(ValueError, match="--set"):
        parse_settings(bad)


def test_bad_numbers() -> None:
    with pytest.raises(ValueError, match="--ipc takes"):
        parse_ipc("many")
    with pytest.raises(ValueError, match="--steps takes"):
        parse_steps("few")
