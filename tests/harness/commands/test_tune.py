"""`tune` before its pilots: options and candidates."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.commands.tune import TuneOptions, parse_tried, tune
from harness.report.console import Voice
from harness.tuning.successive_halving import Candidate, candidates_of, split_pda
from submission.contract.generator import get_generator

NATIVE = get_generator("native")


def candidates(options: TuneOptions) -> list[Candidate]:
    maker = get_generator(options.generator or "native")
    return candidates_of(maker, None, options.steps, options.tried, options.settings, options.pda)


def names(options: TuneOptions) -> list[str]:
    return [candidate.name for candidate in candidates(options)]


def test_candidates_are_all_combinations() -> None:
    options = TuneOptions("digits", steps=(1, 4), tried={"guidance": ("1", "2")})
    assert names(options) == [
        "1 step, guidance=1",
        "4 steps, guidance=1",
        "1 step, guidance=2",
        "4 steps, guidance=2",
    ]


def test_pda_can_be_tried_with_any_generator() -> None:
    options = TuneOptions("digits", "gaussian", tried={"pda": ("1", "5")})
    assert names(options) == ["1 step, pda=1", "1 step, pda=5"]


def test_candidates_by_default_lie_around_the_generators_own_steps() -> None:
    default = NATIVE.info.default_steps
    found = [candidate.steps for candidate in candidates(TuneOptions("digits"))]
    assert found == sorted(set(found)) and min(found) < default < max(found) and default in found


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (TuneOptions("digits", "gaussian"), "in one step"),
        (TuneOptions("digits", steps=(8,)), "one candidate"),
        (TuneOptions("digits", tried={"colour": ("red", "blue")}), "no setting 'colour'"),
        (TuneOptions("digits", tried={"guidance": ("1", "many")}), "guidance must be a number"),
        (TuneOptions("digits", tried={"pda": ("1", "0")}), "--pda must be at least 1"),
    ],
)
def test_what_cannot_be_tuned_is_said(options: TuneOptions, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        candidates(options)


def test_a_setting_is_fixed_or_tried() -> None:
    with pytest.raises(ValueError, match="--set and --try both name guidance"):
        TuneOptions("digits", tried={"guidance": ("1", "2")}, settings={"guidance": "3"})
    with pytest.raises(ValueError, match="--pda and --try both name pda"):
        TuneOptions("digits", tried={"pda": ("1", "5")}, pda=5)
    assert parse_tried(["guidance=1,2", "solver=heun"]) == {"guidance": ("1", "2"), "solver": ("heun",)}
    with pytest.raises(ValueError, match="guidance has a value twice"):
        parse_tried(["guidance=1,1"])


def test_pda_among_the_settings_that_are_tried() -> None:
    assert split_pda({"guidance": "2", "pda": "5"}, 1) == ({"guidance": "2"}, 5)
    assert split_pda({"guidance": "2"}, 3) == ({"guidance": "2"}, 3)
    with pytest.raises(ValueError, match="pda takes whole numbers, not 'many'"):
        split_pda({"pda": "many"}, 1)


def test_nothing_is_written_outside_of_the_folder_that_was_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The folder that it is called in may be one where this user can write nothing."""
    from harness.planning import measure

    places: list[Path] = []

    def take(_job: object, _wanted: object, _data: object, scratch: Path, *_rest: object) -> None:
        places.append(scratch)
        raise ValueError("far enough")

    monkeypatch.setattr(measure, "take_profile", take)
    with pytest.raises(ValueError, match="far enough"):
        tune(TuneOptions("digits", "native", steps=(2, 4), out=tmp_path / "out"), Voice())
    assert places == [tmp_path / "out"]
