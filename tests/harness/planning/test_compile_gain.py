from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.clock.launch import Needs
from harness.planning.compile_gain import gain_of, gain_words
from harness.planning.planner import make_plan
from harness.planning.profile import Profile, keep_profile, profile_key, profiles_folder
from harness.run.options import RunOptions
from harness.run.plan_for_run import take_compiled
from submission.contract.generator import get_generator
from tests.harness.profiles import key, profile

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
    gain = gain_of(plain, compiled, budget, None)
    room = budget - starts[0]
    exact = ((room - starts[1]) * faster - room) / eager_s
    # whole batches, and the margin
    assert abs(gain.images - exact) <= 128 + 0.02 * budget * max(1.0, faster) / eager_s
    assert gain.faster == pytest.approx(faster) and gain.start_s == pytest.approx(starts[1])
    if gain.pays_from_s is None:
        assert faster <= 1 and gain.images <= 64
    else:
        later = gain_of(plain, compiled, gain.pays_from_s + 10 * 64 * eager_s / (1 - 1 / faster) + 10, None)
        assert later.images >= 0


def test_the_words_say_whether_it_pays_and_from_when() -> None:
    plain, compiled = pair(2.0, 42.0, 0.01, 0.005)
    told = gain_words(gain_of(plain, compiled, 600.0, None), 600)
    assert "40 s more to start, 2.00 times the images a second" in told and told.endswith("it pays.")
    assert "images fewer: it pays from a budget of 82 s." in gain_words(gain_of(plain, compiled, 60.0, None), 60)
    plain, slower = pair(2.0, 42.0, 0.01, 0.02)
    assert gain_words(gain_of(plain, slower, 600.0, None), 600).endswith("it never pays.")


def test_nothing_is_gained_where_the_cap_is_reached_anyway() -> None:
    plain, compiled = pair(2.0, 42.0, 0.001, 0.0005)
    assert gain_of(plain, compiled, 600.0, None, ipc_cap=10).images == 0


def kept(
    monkeypatch: pytest.MonkeyPatch, folder: Path, settings: dict[str, str], each_s: float, start_s: float
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder))
    here = profile_key("native", "digits", settings, None, "cpu")
    keep_profile(
        profile(lambda _k, n: each_s * n, [(8, 64)], start_s=start_s, key=here, doubled="compile" not in settings),
        profiles_folder(),
    )


@pytest.mark.parametrize(("budget", "pays"), [(30.0, False), (600.0, True)])
def test_a_run_compiles_where_kept_profiles_say_that_it_pays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, budget: float, pays: bool
) -> None:
    options = RunOptions(dataset="digits", generator="native", budget_s=budget, ipc="none")
    assert take_compiled(options, NATIVE, NEEDS) == (options, None)
    kept(monkeypatch, tmp_path, {}, 0.01, 2.0)
    assert take_compiled(options, NATIVE, NEEDS) == (options, None)
    kept(monkeypatch, tmp_path, {"compile": "yes"}, 0.005, 42.0)
    taken, gain = take_compiled(options, NATIVE, NEEDS)
    assert (gain is not None and gain.images > 0) is pays
    assert dict(taken.settings) == ({"compile": "yes"} if pays else {})
    assert taken.batch_size == (64 if pays else None)
    # who has decided is not asked again, and another batch size was not measured
    for mine in ({"settings": {"compile": "no"}}, {"batch_size": 32}):
        asked = RunOptions(dataset="digits", generator="native", budget_s=budget, ipc="none", **mine)  # type: ignore[arg-type]
        assert take_compiled(asked, NATIVE, NEEDS) == (asked, None)
    gaussian = RunOptions(dataset="digits", generator="gaussian", budget_s=budget)
    assert take_compiled(gaussian, get_generator("gaussian"), NEEDS) == (gaussian, None)


def test_what_compiles_tries_no_batch_sizes_on_the_clock() -> None:
    assert make_plan(NATIVE, None, None, None, compiled=True).trial is False
    assert key() == key(settings={})
