"""A monitor of fake cards: what is tested is what is done with a driver's answers."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.gpu import monitor
from harness.gpu.monitor import OtherProcesses, monitoring, run_processes
from harness.gpu.telemetry import read_telemetry
from tests.harness.gpu.cards import OTHER_PID, FakeCards


def monitored(
    path: Path, fake: FakeCards, until: Callable[[], bool], environ: dict[str, str] | None = None
) -> monitor.Monitor:
    with monitoring(path, 60.0, environ or {}, fake) as watched:
        watched.begin(time.monotonic())
        give_up = time.monotonic() + 30
        while not until() and time.monotonic() < give_up:
            time.sleep(0.01)
    return watched


def rows_in(path: Path, least: int) -> Callable[[], bool]:
    return lambda: len(read_telemetry(path)) >= least


def test_a_run_on_a_card_of_its_own(tmp_path: Path) -> None:
    path, fake = tmp_path / "telemetry.csv", FakeCards()
    summary = monitored(path, fake, rows_in(path, 1)).summary()
    assert summary is not None and summary.name == "NVIDIA GeForce RTX 4090"
    assert (summary.throttled, summary.others_present, summary.count) == (False, False, 1)
    assert summary.samples == len(read_telemetry(path)) >= 1
    assert fake.closed == 1


def test_the_runs_own_children_are_no_company_and_others_are(tmp_path: Path) -> None:
    alone, shared = tmp_path / "alone.csv", tmp_path / "shared.csv"
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        own = monitored(alone, FakeCards(pids=[os.getpid(), child.pid]), rows_in(alone, 1)).summary()
        other = monitored(shared, FakeCards(pids=[child.pid, OTHER_PID]), rows_in(shared, 1)).summary()
        child.communicate(b"\n")
    assert own is not None and own.others_present is False
    assert other is not None and other.others_present is True


def test_two_cards_are_both_sampled_and_counted(tmp_path: Path) -> None:
    path = tmp_path / "telemetry.csv"
    summary = monitored(path, FakeCards(count=2), rows_in(path, 2)).summary()
    assert summary is not None and (summary.count, summary.present) == (2, 2)
    assert {row.card for row in read_telemetry(path)} == {0, 1}


def test_a_card_that_the_generator_cannot_see_is_not_its_card(tmp_path: Path) -> None:
    path = tmp_path / "telemetry.csv"
    summary = monitored(path, FakeCards(count=2), rows_in(path, 1), {"CUDA_VISIBLE_DEVICES": "1"}).summary()
    assert summary is not None and (summary.count, summary.present) == (1, 2)
    hidden = monitored(path, FakeCards(), lambda: True, {"CUDA_VISIBLE_DEVICES": ""}).summary()
    assert hidden is None


def test_no_driver_means_no_file_and_no_facts(tmp_path: Path) -> None:
    path = tmp_path / "telemetry.csv"
    assert monitored(path, FakeCards(broken=frozenset({"nvmlInit"})), lambda: True).summary() is None
    assert not path.exists()


def test_a_full_disk_ends_the_sampling_and_not_the_run(tmp_path: Path) -> None:
    summary = monitored(tmp_path / "no-such-folder" / "telemetry.csv", FakeCards(), lambda: True).summary()
    assert summary is not None and summary.samples == 0


def test_a_driver_that_hangs_does_not_hold_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked, over = threading.Event(), threading.Event()

    class Hanging(FakeCards):
        def nvmlDeviceGetPowerUsage(self, handle: str) -> int:  # noqa: N802
            asked.set()
            over.wait(60)
            return 0

    fake = Hanging()
    monkeypatch.setattr(monitor, "_JOIN_TIMEOUT_S", 0.05)
    with monitoring(tmp_path / "telemetry.csv", 60.0, {}, fake) as watched:
        watched.begin(time.monotonic())
        assert asked.wait(60)
    assert watched.summary() is not None
    assert fake.closed == 0  # the library is not closed under a call
    over.set()


@pytest.mark.parametrize("error", [OSError("no driver"), KeyError("no key"), TypeError("no type")])
@pytest.mark.parametrize("call", ["nvmlInit", "nvmlDeviceGetCount", "nvmlDeviceGetMemoryInfo", "nvmlShutdown"])
def test_no_error_of_the_library_ends_a_run(tmp_path: Path, call: str, error: Exception) -> None:
    path, fake = tmp_path / "telemetry.csv", FakeCards(broken=frozenset({call}), error=error)
    seen = call in ("nvmlDeviceGetMemoryInfo", "nvmlShutdown")
    summary = monitored(path, fake, rows_in(path, 1) if seen else lambda: True).summary()
    assert (summary is not None) == seen
    assert summary is None or summary.power_w_mean == 312.5


def test_no_error_beside_the_library_ends_a_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tried = threading.Event()

    def fails(self: OtherProcesses, on_card: frozenset[int]) -> tuple[int, int]:
        tried.set()
        raise ValueError("the process table is damaged")

    monkeypatch.setattr(OtherProcesses, "count", fails)
    summary = monitored(tmp_path / "telemetry.csv", FakeCards(), tried.is_set).summary()
    assert summary is not None and summary.samples == 0


@pytest.mark.parametrize("breaks", ["run_processes", "visible", "summarise"])
def test_no_error_of_the_monitor_itself_ends_a_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, breaks: str
) -> None:
    def fails(*_arguments: object) -> None:
        if breaks != "visible" or _arguments[0]:
            raise PermissionError("/proc is hidden")

    monkeypatch.setattr(monitor, breaks, fails)
    with monitoring(tmp_path / "telemetry.csv", 60.0, {}, FakeCards()) as watched:
        watched.begin(time.monotonic())
    assert watched.summary() is None


def test_a_machine_without_another_thread_has_no_samples(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", fails)
    summary = monitored(tmp_path / "telemetry.csv", FakeCards(), lambda: True).summary()
    assert summary is not None and summary.samples == 0


def test_it_is_remembered_who_was_ours_and_who_was_there_before() -> None:
    own = {10}
    others = OtherProcesses(frozenset({10, 20}), lambda: set(own), lambda pid: pid == 30)
    own.add(11)
    assert others.count(frozenset({10, 11})) == (0, 0)
    own.remove(11)  # it has ended, and the driver still lists it
    assert others.count(frozenset({11})) == (0, 0)
    assert others.count(frozenset({20})) == (1, 0)  # there before the clock started
    assert others.count(frozenset({30, 40})) == (1, 1)  # known to the process table; known to nobody


def test_the_harness_is_among_its_own_processes() -> None:
    assert os.getpid() in run_processes() and OTHER_PID not in run_processes()
