import json
import subprocess

import pytest

from harness import calibration
from harness.calibration import calibrate, calibrate_now, measure, measure_now
from harness.other_card import CARDS


def test_this_machine_has_a_speed_in_every_part(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calibration, "WARM_UP_S", {"cpu": 0.0})
    monkeypatch.setattr(calibration, "MEASURE_S", {"cpu": 0.01})
    measured = measure("cpu")
    assert measured.keys() == CARDS["rtx4090"].figures.keys()
    assert all(speed > 0 for speed in measured.values())


def test_a_process_of_its_own_measures(monkeypatch: pytest.MonkeyPatch) -> None:
    def answered(command: list[str], **named: object) -> subprocess.CompletedProcess[str]:
        assert command[-3:] == ["-m", "harness.calibration", "cpu"]
        return subprocess.CompletedProcess(command, 0, json.dumps({"matmul": 1.0}), "")

    monkeypatch.setattr(subprocess, "run", answered)
    assert calibrate("cpu") == {"matmul": 1.0}


def test_a_device_that_cannot_be_measured_is_told_of_in_one_sentence() -> None:
    with pytest.raises(ValueError, match="cannot be measured") as caught:
        calibrate("no-such-device")
    assert "\n" not in str(caught.value)


def test_the_speed_at_the_moment_is_that_of_the_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calibration, "WARM_UP_S", {"cpu": 0.05})
    monkeypatch.setattr(calibration, "MEASURE_S", {"cpu": 0.1})
    monkeypatch.setattr(calibration, "NOW_S", 0.2)
    parts = [measure("cpu")[part] for part in ("matmul", "convolution")]
    assert min(parts) / 5 < measure_now("cpu") < 5 * max(parts)  # other tests run beside this one


def test_a_hiccup_does_not_set_the_speed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calibration, "seconds_of_each", lambda *_: [9.0, 0.01, 0.01, 0.01, 4.0])
    flop = 2 * 1024**3 + 2 * 32 * 16**2 * 9 * 128**2
    assert measure_now("cpu") == pytest.approx(flop / 0.01 / 1e12)


def test_no_speed_is_no_error() -> None:
    assert calibrate_now("no-such-device") is None


def test_a_process_that_never_answers_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def waited(command: list[str], **named: object) -> subprocess.CompletedProcess[str]:
        raise subprocess.TimeoutExpired(command, 300.0)

    monkeypatch.setattr(subprocess, "run", waited)
    assert calibrate_now("cpu") is None
    with pytest.raises(ValueError, match="nothing was measured in 300 s"):
        calibrate("cpu")
