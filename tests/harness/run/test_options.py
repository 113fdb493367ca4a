import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from evaluation.base.command_line import parse_counts
from harness.run.default_generators import defaults
from harness.run.options import RunOptions, parse_ipc, parse_settings, parse_steps


@pytest.mark.parametrize(
    ("asked", "sentence"),
    [
        ({"dataset": "cifar10"}, "choose one of"),
        ({"generator": "dall-e"}, "no generator is called 'dall-e'"),
        ({"generator": "noise", "command": "x"}, "exclude each other"),
        ({"command": "x", "steps": 4}, "put it into --command"),
        ({"steps": 0}, "--steps must be at least 1"),
        ({"rounds": 0}, "--rounds must be at least 1"),
        ({"epochs": 0}, "--epochs must be at least 1"),
        ({"ipc": 0}, "--ipc must be at least 1"),
        ({"grace_s": 70.0}, "less than the budget"),
        ({"pda": 0}, "--pda must be at least 1"),
        ({"as_card": "h200"}, "--as takes"),
        ({"as_card": "rtx4090", "resume": True}, "--as is for a new run"),
        ({"command": "x", "batch_size": 5}, "--batch-size is for the project's own generators"),
        ({"name": "mine"}, "--name is for a --command or an --image"),
        ({"command": "x", "name": "../up"}, "must be letters"),
        ({"command": "x", "pda": 5}, "--pda is for the project's own generators"),
    ],
)
def test_bad_options_are_refused_in_one_sentence(asked: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        RunOptions(**{"dataset": "digits", **asked})


def test_the_challenge_gives_budget_and_cap() -> None:
    options = RunOptions("cifar100")
    assert (options.budget, options.ipc_cap, options.generator_name) == (600.0, 100, "distilled")
    assert RunOptions("cifar100", generator="gaussian").ipc_cap == RunOptions("cifar100", command="x").ipc_cap == 1000
    assert RunOptions("cifar100", ipc=7).ipc_cap == 7
    assert defaults("cifar100") == ("distilled", "gaussian"), "the best on held-out images first"
    assert RunOptions("tiny-imagenet").generator_name == "distilled"
    assert RunOptions("digits").generator_name == RunOptions("cifar100", weights="mine").generator_name == "native"
    assert RunOptions("digits", ipc="none", command="x").ipc_cap is None
    assert RunOptions("digits", command="x").generator_name == "command"
    assert RunOptions("digits", command="x", name="mine-2").generator_name == "mine-2"


def test_values_as_people_write_them() -> None:
    assert (parse_ipc("none"), parse_ipc("40")) == ("none", 40)
    assert (parse_steps("auto"), parse_steps("12")) == (None, 12)
    assert parse_settings(["a=b", "c=d=e"]) == {"a": "b", "c": "d=e"}
    assert parse_counts("16,4,4") == (4, 16)


@pytest.mark.parametrize("bad", [["a"], ["=b"], ["a=1", "a=2"]])
def test_bad_settings(bad: list[str]) -> None:
    with pytest.raises(ValueError, match=r"NAME=VALUE|given twice"):
        parse_settings(bad)


@pytest.mark.parametrize("wrong", ["", "4,", "zero", "0,1"])
def test_bad_counts(wrong: str) -> None:
    with pytest.raises(ValueError, match=r"not a whole number|at least 1"):
        parse_counts(wrong)


def test_bad_numbers() -> None:
    for parse in (parse_ipc, parse_steps):
        with pytest.raises(ValueError, match="'many' is not a whole number"):
            parse("many")


def test_prompts_become_a_setting_that_holds_them(tmp_path: Path) -> None:
    file = tmp_path / "prompts.txt"
    file.write_text("\n".join(f"the number {label}" for label in range(10)))

    def settings(dataset: str = "digits", **others: str) -> dict[str, str]:
        return dict(RunOptions(dataset, settings=others, prompts=file).settings)

    told = settings(size="64")
    assert told["size"] == "64" and json.loads(told["prompts"])["7"] == ["the number 7"]
    assert replace(RunOptions("digits", prompts=file), seed=3).settings == settings(), "they are read once"
    file.write_text(told["prompts"])
    assert settings(size="64") == told
    with pytest.raises(ValueError, match="exclude each other"):
        settings(prompts="{}")
    with pytest.raises(ValueError, match="no class of CIFAR-100"):
        settings("cifar100")
