"""A watch over stand-ins of cards. No card has been met: what is tested is what is done with a driver's answers."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.gpu import monitor
from harness.gpu.monitor import Company, run_processes, watching
from harness.gpu.nvml import Reading, open_nvml
from harness.gpu.telemetry import read_telemetry
from tests.harness.gpu.cards import OTHER_PID, FakeCards


def watch(
    path: Path, fake: FakeCards, until: Callable[[], bool], environ: dict[str, str] | None = None
) -> monitor.Watch:
    with watching(path, 60.0, environ or {}, lambda: open_nvml(fake)) as watched:
        watched.begin(time.monotonic())
        give_up = time.monotonic() + 30
        while not until() and time.monotonic() < give_up:
            time.sleep(0.01)
    return watched


def rows_in(path: Path, least: int) -> Callable[[], bool]:
    return lambda: len(read_telemetry(path)) >= least


def test_a_run_on_a_card_of_its_own(tmp_path: Path) -> None:
    path, fake = tmp_path / "telemetry.csv", FakeCards()
    summary = watch(path, fake, rows_in(path, 1)).summary()
    assert summary is not None and summary.name == "NVIDIA GeForce RTX 4090"
    assert (summary.throttled, summary.others_present, summary.count) == (False, False, 1)
    assert summary.samples == len(read_telemetry(path)) >= 1
    assert fake.closed == 1


def test_the_runs_own_children_are_no_company_and_others_are(tmp_path: Path) -> None:
    alone, shared = tmp_path / "alone.csv", tmp_path / "shared.csv"
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        own = watch(alone, FakeCards(pids=[os.getpid(), child.pid]), rows_in(alone, 1)).summary()
        other = watch(shared, FakeCards(pids=[child.pid, OTHER_PID]), rows_in(shared, 1)).summary()
        child.communicate(b"\n")
    assert own is not None and own.others_present is False
    assert other is not None and other.others_present is True


def test_two_cards_are_both_sampled_and_counted(tmp_path: Path) -> None:
    path = tmp_path / "telemetry.csv"
    summary = watch(path, FakeCards(count=2), rows_in(path, 2)).summary()
    assert summary is not None and (summary.count, summary.present) == (2, 2)
    assert {row.card for row in read_telemetry(path)} == {0, 1}


def test_a_card_that_the_generator_cannot_see_is_not_its_card(tmp_path: Path) -> None:
    path = tmp_path / "telemetry.csv"
    summary = watch(path, FakeCards(count=2), rows_in(path, 1), {"CUDA_VISIBLE_DEVICES": "1"}).summary()
    assert summary is not None and (summary.count, summary.present) == (1, 2)
    hidden = watch(path, FakeCards(), lambda: True, {"CUDA_VISIBLE_DEVICES": ""}).summary()
    assert hidden is None


def test_no_driver_means_no_file_and_no_facts(tmp_path: Path) -> None:
    path = tmp_path / "telemetry.csv"
    assert watch(path, FakeCards(broken=frozenset({"nvmlInit"})), lambda: True).summary() is None
    assert not path.exists()


def test_a_full_disk_ends_the_sampling_and_not_the_run(tmp_path: Path) -> None:
    summary = watch(tmp_path / "no-such-folder" / "telemetry.csv", FakeCards(), lambda: True).summary()
    assert summary is not None and summary.samples == 0


def test_a_driver_that_hangs_does_not_hold_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake, asked, over = FakeCards(), threading.Event(), threading.Event()
    nvml, _ = open_nvml(fake)
    assert nvml is not None

    def hangs(index: int) -> Reading:
        asked.set()
        over.wait(60)
        return Reading()

    with watching(tmp_path / "telemetry.csv", 60.0, {}, lambda: (nvml, "")) as watched:
        monkeypatch.setattr(nvml, "reading", hangs)
        monkeypatch.setattr(monitor, "_ENDS_IN_S", 0.05)
        watched.begin(time.monotonic())
        assert asked.wait(60)
    assert watched.summary() is not None
    assert fake.closed == 0  # the library is not closed under a call
    over.set()


def test_company_remembers_who_was_ours_and_who_was_there_before() -> None:
    own = {10}
    company = Company(frozenset({10, 20}), lambda: set(own), lambda pid: pid == 30)
    own.add(11)
    assert company.count(frozenset({10, 11})) == (0, 0)
    own.remove(11)  # it has ended, and the driver still lists it
    assert company.count(frozenset({11})) == (0, 0)
    assert company.count(frozenset({20})) == (1, 0)  # there before the clock started
    assert company.count(frozenset({30, 40})) == (1, 1)  # known to the process table; known to nobody


def test_the_harness_is_among_its_own_processes() -> None:
    assert os.getpid() in run_processes() and OTHER_PID not in run_processes()
