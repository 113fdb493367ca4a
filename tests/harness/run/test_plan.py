"""What a run makes of options, stored profiles and what `tune` chose; and whether compiling pays."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.clock.launch import Needs
from harness.planning.planner import compile_gain
from harness.planning.profile import Profile, ProfileKey, profile_key, store_profile
from harness.records.record import OtherCardPart
from harness.run.options import RunOptions
from harness.run.plan import Plan, make_plan, plan_sentences
from harness.tuning.stored_choice import TunedChoice, load_choice, store_choice
from submission.contract.generator import get_generator
from tests.harness.profiles import profile

NATIVE = get_generator("native")
NEEDS = Needs(None, None, "cpu")


def pair(start_s: float, compiled_start_s: float, each_s: float, compiled_each_s: float) -> tuple[Profile, Profile]:
    return tuple(  # type: ignore[return-value]
        profile(lambda _k, n, each=each: each * n, [(8, 64)], start_s=start)
        for start, each in ((start_s, each_s), (compiled_start_s, compiled_each_s))
    )


@given(
    starts=st.tuples(st.floats(0.5, 20.0), st.floats(1.0, 100.0)),
    eager_s=st.floats(0.001, 0.05),
    faster=st.floats(0.7, 4.0),
    budget=st.floats(200.0, 900.0),
)
def test_compiling_pays_where_the_time_it_saves_is_more_than_it_takes(
    starts: tuple[float, float], eager_s: float, faster: float, budget: float
) -> None:
    plain, compiled = pair(starts[0], sum(starts), eager_s, eager_s / faster)
    gain = compile_gain(plain, compiled, budget, None)
    room = budget - starts[0]
    exact = ((room - starts[1]) * faster - room) / eager_s
    # whole batches, and the margin
    assert abs(gain.images - exact) <= 128 + 0.02 * budget * max(1.0, faster) / eager_s
    assert gain.faster == pytest.approx(faster) and gain.start_s == pytest.approx(starts[1])
    if gain.pays_from_s is None:
        assert faster <= 1 and gain.images <= 64
    else:
        later = compile_gain(plain, compiled, gain.pays_from_s + 10 * 64 * eager_s / (1 - 1 / faster) + 10, None)
        assert later.images >= 0


def test_the_words_say_whether_it_pays_and_from_when() -> None:
    plain, compiled = pair(2.0, 42.0, 0.01, 0.005)
    told = compile_gain(plain, compiled, 600.0, None).sentence(600)
    assert "40 s more to start, then 2.00 times the images per second" in told and told.endswith("it pays.")
    assert "images fewer: it pays from a budget of 82 s." in compile_gain(plain, compiled, 60.0, None).sentence(60)
    plain, slower = pair(2.0, 42.0, 0.01, 0.02)
    assert compile_gain(plain, slower, 600.0, None).sentence(600).endswith("it never pays.")


def test_nothing_is_gained_where_the_cap_is_reached_anyway() -> None:
    plain, compiled = pair(2.0, 42.0, 0.001, 0.0005)
    assert compile_gain(plain, compiled, 600.0, None, ipc_cap=10).images == 0


@pytest.fixture(autouse=True)
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))


def native_key(**changes: object) -> ProfileKey:
    return replace(profile_key("native", "digits", {}, None, "cpu"), **changes)  # type: ignore[arg-type]


def planned(find_profile: Callable[[ProfileKey], Profile | None] | None = None, **asked: object) -> Plan:
    options = RunOptions(**{"dataset": "digits", "generator": "native", "ipc": "none", **asked})  # type: ignore[arg-type]
    found = {} if find_profile is None else {"find_profile": find_profile}
    return make_plan(options, get_generator(options.generator_name), NEEDS, **found)


def test_without_measurements_the_generator_decides_and_the_worker_tries_batch_sizes() -> None:
    plan = planned()
    assert (plan.steps, plan.batch_size) == (NATIVE.default_steps(None), NATIVE.info.default_batch)
    assert plan.tries_batch_sizes and plan.predicted_ipc is None and plan_sentences(plan) == []
    assert (plan.budget_s, plan.ipc_cap, plan.pda) == (60.0, None, 1)
    named = planned(batch_size=7, steps=3)
    assert (named.steps, named.batch_size, named.tries_batch_sizes) == (3, 7, False)
    # what compiles would do so again for each size
    assert not planned(settings={"compile": "yes"}).tries_batch_sizes


def test_a_command_decides_for_itself() -> None:
    plan = make_plan(RunOptions("digits", command="x"), None, NEEDS)
    assert (plan.steps, plan.batch_size, plan.tries_batch_sizes) == (None, None, False)


def test_another_cards_budget_is_the_runs() -> None:
    part = OtherCardPart.model_validate(
        {"as": "rtx4090", "ratio": 0.5, "interval": (0.4, 0.6), "budget": 60.0, "scaled_budget": 120.0}
        | {"device": "cpu", "parts": {}}
    )
    plan = make_plan(RunOptions("digits", "noise"), get_generator("noise"), NEEDS, part)
    assert plan.budget_s == 120.0 and plan.other_card == part


def test_a_profile_gives_batch_size_and_prediction() -> None:
    measured = profile(lambda _k, n: 0.1 + 0.01 * n, [(8, 8), (8, 64)], measured_at="2026-01-01", key=native_key())
    store_profile(measured)
    plan = planned()
    assert plan.batch_size == 64 and plan.profile == measured and not plan.tries_batch_sizes
    assert plan.predicted_ipc is not None and [size for size, _ in plan.batch_seconds] == [8, 64]
    assert "2026-01-01: batch 64, steps 8" in plan_sentences(plan)[0]
    # of few sizes: it says nothing of the best one, but all of the one that is asked for
    few = replace(measured, doubled=False)
    assert planned(lambda _key: few).tries_batch_sizes and planned(lambda _key: few).profile is None
    assert planned(lambda _key: few, batch_size=8).profile == few


def store_pair() -> None:
    for settings, each_s, start_s in (({}, 0.01, 2.0), ({"compile": "yes"}, 0.005, 42.0)):
        at = native_key(settings=settings)
        store_profile(
            profile(lambda _k, n, each=each_s: each * n, [(8, 64)], start_s=start_s, key=at, doubled=not settings)
        )


@pytest.mark.parametrize(("budget", "pays"), [(30.0, False), (600.0, True)])
def test_a_run_compiles_where_stored_profiles_say_that_it_pays(budget: float, pays: bool) -> None:
    assert planned(budget_s=budget).compile_gain is None
    store_pair()
    plan = planned(budget_s=budget)
    assert (plan.compile_gain is not None and plan.compile_gain.images > 0) is pays
    assert dict(plan.settings) == ({"compile": "yes"} if pays else {})
    assert plan.batch_size == 64
    # who has decided is not asked again, and another batch size was not measured
    for mine in ({"settings": {"compile": "no"}}, {"batch_size": 32}):
        assert planned(budget_s=budget, **mine).compile_gain is None
    assert planned(generator="gaussian", budget_s=budget).settings == {}


def choice_for(key: ProfileKey, **changes: object) -> TunedChoice:
    made = TunedChoice(key, 60.0, None, 4, {"guidance": "2"}, 0.9, (0.85, 0.95), 100, 3, "2026-01-01T00:00:00+00:00")
    return replace(made, **changes)  # type: ignore[arg-type]


def test_a_choice_comes_back_for_runs_of_its_kind_alone() -> None:
    chosen = choice_for(native_key())
    path = store_choice(chosen)
    assert load_choice(chosen.key, 60.0, None) == chosen
    assert load_choice(chosen.key, 30.0, None) is None
    assert load_choice(chosen.key, 60.0, 40) is None
    assert load_choice(replace(chosen.key, weights="others"), 60.0, None) is None
    path.write_text("{}", encoding="utf-8")
    assert load_choice(chosen.key, 60.0, None) is None, "damaged"


def test_run_takes_what_tune_chose_unless_the_user_names_steps() -> None:
    chosen = choice_for(native_key())
    store_choice(chosen)
    plan = planned(budget_s=60.0)
    assert plan.tuned == chosen and plan.steps == 4 and plan.settings == {"guidance": "2"}
    assert "4 steps, guidance=2" in plan_sentences(plan)[0] and "90.0% [85.0, 95.0]" in plan_sentences(plan)[0]
    for other in ({"steps": 8}, {"settings": {"guidance": "1"}}, {"ipc": None}, {"budget_s": 30.0}):
        assert planned(**{"budget_s": 60.0, **other}).tuned is None


def test_copies_belong_to_the_choice() -> None:
    store_choice(choice_for(native_key(), settings={"guidance": "2", "pda": "5"}))
    plan = planned(budget_s=60.0)
    assert plan.pda == 5 and plan.settings == {"guidance": "2"}
    assert planned(budget_s=60.0, pda=3).tuned is None


def test_the_profile_is_that_of_what_tune_chose() -> None:
    store_choice(choice_for(native_key(), settings={"guidance": "2", "pda": "5"}))
    asked: list[ProfileKey] = []
    planned(asked.append, budget_s=60.0)
    assert (asked[0].settings, asked[0].pda) == ({"guidance": "2"}, 5)
