"""Measuring real processes: generators that are quick, that run out of memory, and that die."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from evaluation.base.files import claimed
from harness.planning import measure
from harness.planning.measure import Wanted, measure_profile, take_profile
from harness.planning.profile import Profile
from submission.contract.job import Job
from tests.harness.profiles import key

AWKWARD = Path(__file__).parents[3] / "benchmarks" / "awkward" / "generators"


@pytest.fixture
def awkward(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(AWKWARD))
    monkeypatch.setattr("harness.planning.measure.SUSTAINED_S", 0.3)
    monkeypatch.setattr("harness.planning.measure.POINT_S", 0.05)


def measured(generator: str, folder: Path, wanted: Wanted | None = None, pda: int = 1) -> tuple[Profile, list[str]]:
    said: list[str] = []
    job = Job("digits", generator, "", "", deadline=0.0, pda=pda)
    profile = measure_profile(key(generator=generator), job, wanted or Wanted(), None, folder, said.append)
    assert not list(folder.iterdir()), "nothing is left behind"
    return profile, said


@pytest.mark.usefixtures("awkward")
def test_the_points_that_are_asked_for(tmp_path: Path) -> None:
    profile, said = measured("slow-first", tmp_path, Wanted(steps=(1, 2), batch_sizes=(4, 8)))
    assert [(p.steps, p.batch_size) for p in profile.points] == [(1, 4), (1, 8), (2, 4), (2, 8)]
    # it sleeps, so that no machine makes it faster
    assert all(p.seconds >= 0.02 + 0.006 * p.batch_size and p.low_s <= p.seconds <= p.high_s for p in profile.points)
    assert profile.start.first_batch_s > 10 * 0.02 and profile.start.import_s > 0
    assert profile.sustained and profile.sustained.batch_size in (4, 8)
    assert profile.write_s > 0
    assert (profile.default_steps, profile.default_batch) == (1, 64)
    assert any("images/s" in sentence for sentence in said)


@pytest.mark.usefixtures("awkward")
@pytest.mark.parametrize(("generator", "reason"), [("hungry", "out_of_memory"), ("fragile", "crashed")])
def test_what_fails_costs_a_point_and_is_remembered(tmp_path: Path, generator: str, reason: str) -> None:
    profile, _ = measured(generator, tmp_path, Wanted(batch_sizes=(8, 32, 16)))
    assert [(failed.batch_size, failed.reason) for failed in profile.failed] == [(32, reason)]
    assert [point.batch_size for point in profile.points] == [8, 16]
    assert profile.sustained


@pytest.mark.usefixtures("awkward")
def test_doubling_ends_where_memory_does(tmp_path: Path) -> None:
    profile, _ = measured("hungry", tmp_path, Wanted(steps=(1,)))
    assert [point.batch_size for point in profile.points] == [1, 2, 4, 8, 16]
    assert [failed.batch_size for failed in profile.failed] == [32]


@pytest.mark.usefixtures("awkward")
def test_nothing_measured_is_told_in_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="smaller --batch-size"):
        measured("hungry", tmp_path, Wanted(batch_sizes=(64,)))
    with pytest.raises(ValueError, match="did not start: ValueError"):
        measured("nobody", tmp_path)


@pytest.mark.usefixtures("awkward")
def test_copies_are_made_and_written_as_in_a_run(tmp_path: Path) -> None:
    """What the library costs to import is part of the start, what copies cost part of writing an image."""
    plain, _ = measured("noise", tmp_path, Wanted(batch_sizes=(8,)))
    copied, _ = measured("noise", tmp_path, Wanted(batch_sizes=(8,)), pda=9)
    assert copied.start.load_s > plain.start.load_s + 0.3
    assert copied.write_s > 2 * plain.write_s


@pytest.mark.usefixtures("awkward")
def test_no_batch_is_larger_than_what_a_run_makes_or_longer_than_its_part_of_the_budget(tmp_path: Path) -> None:
    profile, _ = measured("noise", tmp_path, Wanted.of_run(600.0, 20, steps=(1,)))
    assert max(point.batch_size for point in profile.points) <= 16
    profile, _ = measured("slow-first", tmp_path, replace(Wanted(steps=(1,)), most_batch_s=1e-9))
    assert [point.batch_size for point in profile.points] == [1], "a second batch would take longer"


@pytest.mark.usefixtures("awkward")
def test_another_step_count_is_measured_at_the_batch_size_that_is_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    job = Job("digits", "slow-first", "", "", deadline=0.0)

    def take(*steps: int) -> list[tuple[int, int]]:
        wanted = replace(Wanted(steps=steps), most_images=4)
        profile, _ = take_profile(job, wanted, None, tmp_path / "runs", lambda sentence: None)
        assert profile.doubled
        return [(point.steps, point.batch_size) for point in profile.points]

    assert take(1) == [(1, 1), (1, 2), (1, 4)]
    assert take(1, 3) == [(1, 1), (1, 2), (1, 4), (3, 4)]


def test_folders_of_measurements_that_were_killed_are_cleared_away(tmp_path: Path) -> None:
    dead, living, young = (tmp_path / f".profile-{name}" for name in ("dead", "living", "young"))
    for folder in (dead, living, young):
        folder.mkdir()
        (folder / "log.txt").touch()
    for folder in (dead, living):
        os.utime(folder, (0, 0))
    with claimed(living):
        measure._clear_away_dead(tmp_path)
    assert (dead.exists(), living.exists(), young.exists()) == (False, True, True)
