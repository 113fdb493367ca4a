import json
from pathlib import Path
from typing import Any

import pytest

from harness.commands.inputs import parse_ipc, parse_settings, parse_steps, with_prompts
from harness.run.options import RunOptions, defaults
from harness.tuning.successive_halving import split_pda


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
        ({"pda": 0}, "--pda must be at least 1"),
        ({"command": "x", "pda": 5}, "--pda is for the project's own generators"),
    ],
)
def test_bad_options_are_refused_in_one_sentence(asked: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        RunOptions(**{"dataset": "digits", **asked})


def test_the_challenge_gives_budget_and_cap() -> None:
    options = RunOptions("cifar100")
    assert (options.budget, options.ipc_cap, options.generator_name) == (600.0, 1000, "matched")
    assert defaults("cifar100") == ("matched", "gaussian"), "the best on held-out images, whatever else is shipped"
    assert RunOptions("tiny-imagenet").generator_name == "matched"
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


def test_prompts_become_a_setting_that_holds_them(tmp_path: Path) -> None:
    file = tmp_path / "prompts.txt"
    file.write_text("\n".join(f"the number {label}" for label in range(10)))
    told = with_prompts({"size": "64"}, file, "digits")
    assert told["size"] == "64" and json.loads(told["prompts"])["7"] == ["the number 7"]
    file.write_text(told["prompts"])
    assert with_prompts({"size": "64"}, file, "digits") == told
    assert with_prompts({"size": "64"}, None, "digits") == {"size": "64"}
    with pytest.raises(ValueError, match="exclude each other"):
        with_prompts({"prompts": "{}"}, file, "digits")
    with pytest.raises(ValueError, match="no class of CIFAR-100"):
        with_prompts({}, file, "cifar100")


def test_pda_among_the_settings_that_are_tried() -> None:
    assert split_pda({"guidance": "2", "pda": "5"}, 1) == ({"guidance": "2"}, 5)
    assert split_pda({"guidance": "2"}, 3) == ({"guidance": "2"}, 3)
    with pytest.raises(ValueError, match="pda takes whole numbers, not 'many'"):
        split_pda({"pda": "many"}, 1)


def test_bad_numbers() -> None:
    with pytest.raises(ValueError, match="--ipc takes"):
        parse_ipc("many")
    with pytest.raises(ValueError, match="--steps takes"):
        parse_steps("few")
