"""`tune` before and around its pilots: candidates, the kept plan, what `run` makes of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from harness.clock.launch import Needs
from harness.commands.inputs import parse_tried
from harness.commands.tune import TuneOptions, candidates_of
from harness.planning.profile import ProfileKey, profile_key
from harness.run.options import RunOptions
from harness.run.plan_for_run import take_tuned
from harness.tuning.stored_choice import TunedPlan, find_tuned, keep_tuned, tuned_words
from submission.contract.generator import get_generator

NATIVE = get_generator("native")


def names(options: TuneOptions) -> list[str]:
    return [candidate.name for candidate in candidates_of(NATIVE, None, options)]


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
    found = candidates_of(get_generator("gaussian"), None, options)
    assert [candidate.name for candidate in found] == ["1 step, pda=1", "1 step, pda=5"]


def test_candidates_by_default_lie_around_the_generators_own_steps() -> None:
    default = NATIVE.info.default_steps
    found = [candidate.steps for candidate in candidates_of(NATIVE, None, TuneOptions("digits"))]
    assert found == sorted(set(found)) and min(found) < default < max(found) and default in found


@pytest.mark.parametrize(
    ("generator", "options", "sentence"),
    [
        ("gaussian", TuneOptions("digits"), "in one step"),
        ("native", TuneOptions("digits", steps=(8,)), "one candidate"),
        ("native", TuneOptions("digits", tried={"colour": ("red", "blue")}), "no setting 'colour'"),
        ("native", TuneOptions("digits", tried={"guidance": ("1", "many")}), "guidance must be a number"),
        ("native", TuneOptions("digits", tried={"pda": ("1", "0")}), "--pda must be at least 1"),
    ],
)
def test_what_cannot_be_tuned_is_said(generator: str, options: TuneOptions, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        candidates_of(get_generator(generator), None, options)


def test_a_setting_is_fixed_or_tried() -> None:
    with pytest.raises(ValueError, match="--set and --try both name guidance"):
        TuneOptions("digits", tried={"guidance": ("1", "2")}, settings={"guidance": "3"})
    with pytest.raises(ValueError, match="--pda and --try both name pda"):
        TuneOptions("digits", tried={"pda": ("1", "5")}, pda=5)
    assert parse_tried(["guidance=1,2", "solver=heun"]) == {"guidance": ("1", "2"), "solver": ("heun",)}
    with pytest.raises(ValueError, match="names a value twice"):
        parse_tried(["guidance=1,1"])


def plan_for(key: ProfileKey, budget_s: float = 60.0) -> TunedPlan:
    return TunedPlan(key, budget_s, None, 4, {"guidance": "2"}, 0.9, (0.85, 0.95), 100, 3, "2026-01-01T00:00:00+00:00")


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TunedPlan:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    plan = plan_for(profile_key("native", "digits", {}, None, "cpu"))
    keep_tuned(plan)
    return plan


def test_a_plan_comes_back_for_runs_of_its_kind_alone(kept: TunedPlan) -> None:
    assert find_tuned(kept.key, 60.0, None) == kept
    assert find_tuned(kept.key, 30.0, None) is None
    assert find_tuned(kept.key, 60.0, 40) is None
    assert find_tuned(replace(kept.key, weights="others"), 60.0, None) is None


def test_run_takes_the_plan_unless_the_user_names_steps(kept: TunedPlan) -> None:
    needs = Needs(None, None, "cpu")
    options = RunOptions("digits", "native", ipc="none", budget_s=60.0)
    tuned, plan = take_tuned(options, needs)
    assert plan == kept and tuned.steps == 4 and tuned.settings == {"guidance": "2"}
    assert "4 steps, guidance=2" in tuned_words(kept) and "90.0% [85.0, 95.0]" in tuned_words(kept)
    for other in (replace(options, steps=8), replace(options, settings={"guidance": "1"}), replace(options, ipc=None)):
        assert take_tuned(other, needs) == (other, None)


def test_copies_belong_to_the_plan(kept: TunedPlan) -> None:
    needs = Needs(None, None, "cpu")
    options = RunOptions("digits", "native", ipc="none", budget_s=60.0)
    keep_tuned(replace(kept, settings={"guidance": "2", "pda": "5"}))
    tuned, _ = take_tuned(options, needs)
    assert tuned.pda == 5 and tuned.settings == {"guidance": "2"}
    assert take_tuned(replace(options, pda=3), needs) == (replace(options, pda=3), None)


def test_a_damaged_plan_is_none(kept: TunedPlan) -> None:
    path = keep_tuned(kept)
    path.write_text("{}", encoding="utf-8")
    assert find_tuned(kept.key, 60.0, None) is None
