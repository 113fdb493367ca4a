import json
import subprocess
from dataclasses import replace

import pytest

from harness.cards import calibration
from harness.cards.calibration import calibrate, measure
from harness.cards.other_card import CARDS


def test_this_machine_has_a_speed_in_every_part(monkeypatch: pytest.MonkeyPatch) -> None:
    quick = replace(calibration.WORKLOADS["cpu"], warm_up_s=0.0, measure_s=0.01)
    monkeypatch.setitem(calibration.WORKLOADS, "cpu", quick)
    measured = measure("cpu")
    assert measured.keys() == CARDS["rtx4090"].speeds.keys()
    assert all(speed > 0 for speed in measured.values())


def test_a_process_of_its_own_measures(monkeypatch: pytest.MonkeyPatch) -> None:
    def answered(command: list[str], **named: object) -> subprocess.CompletedProcess[str]:
        assert command[-3:] == ["-m", "harness.cards.calibration", "cpu"]
        return subprocess.CompletedProcess(command, 0, json.dumps({"matmul": 1.0}), "")

    monkeypatch.setattr(subprocess, "run", answered)
    assert calibrate("cpu") == {"matmul": 1.0}


def test_a_device_that_cannot_be_measured_is_told_of_in_one_sentence() -> None:
    with pytest.raises(ValueError, match="cannot be measured") as caught:
        calibrate("no-such-device")
    assert "\n" not in str(caught.value)
