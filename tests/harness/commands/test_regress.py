"""`regress` from a first baseline to a verdict, on real runs that take seconds."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as Xml

import pytest
import yaml

from benchmarks.gate.digits import BASELINE, FAULTS, ROOT, gate, plant
from evaluation.base.command_line import ExitCode
from evaluation.base.untrusted import NothingToJudgeError
from harness.commands.regress import RegressOptions, regress
from harness.compare.baseline import Measurement
from harness.report.console import Voice

TASK: dict[str, Any] = {"dataset": "digits", "generator": "gaussian", "ipc": (1, 2), "epochs": 1, "rounds": 2}


@pytest.fixture(scope="module")
def baseline(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("baseline")
    written = folder / "b.json"
    options = RegressOptions(written, update=True, margin=2.0, out=folder / "run", device="cpu", **TASK)
    assert regress(options, Voice()) is ExitCode.DONE
    return written


def test_an_unchanged_tree_passes(baseline: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = {"junit": tmp_path / "r.xml", "summary": tmp_path / "s.md", "out": tmp_path / "run"}
    assert regress(RegressOptions(baseline, device="cpu", **files), Voice(as_json=True)) is ExitCode.DONE
    told = json.loads(capsys.readouterr().out)
    assert told["verdict"] == "passed" and {row["verdict"] for row in told["rows"]} == {"passed"}
    assert Xml.fromstring(files["junit"].read_text()).get("failures") == "0"
    assert "Accuracy gate: passed" in files["summary"].read_text()


def test_a_floor_is_a_gate_of_its_own(baseline: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = RegressOptions(baseline, min_accuracy=99.0, device="cpu", out=tmp_path / "run")
    assert regress(options, Voice()) is ExitCode.REGRESSION
    assert "lowest allowed accuracy at IPC 2" in capsys.readouterr().out


def test_fresh_rounds_may_be_too_few_to_tell(baseline: Path, tmp_path: Path) -> None:
    """One epoch and two rounds: nothing but identical rounds shows anything."""
    asked: dict[str, Any] = {"judge_seed": 7, "device": "cpu"}
    assert regress(RegressOptions(baseline, out=tmp_path / "a", **asked), Voice()) is ExitCode.DONE
    options = RegressOptions(baseline, require_evidence=True, out=tmp_path / "b", **asked)
    assert regress(options, Voice()) is ExitCode.NOT_ENOUGH_EVIDENCE


def test_a_generator_that_leaves_nothing_is_no_regression(tmp_path: Path) -> None:
    options = RegressOptions(
        tmp_path / "b.json", update=True, dataset="digits", command="false", name="nothing", out=tmp_path / "run"
    )
    with pytest.raises(NothingToJudgeError, match="nothing left nothing to judge"):
        regress(options, Voice())


@pytest.mark.parametrize(
    ("asked", "sentence"),
    [
        ({"epochs": 2}, "measured with --epochs 1"),
        ({"generator": "noise"}, "measured with --generator gaussian"),
        ({"settings": {"spread": "1"}}, "measured with --set"),
    ],
)
def test_another_task_is_refused_without_update(baseline: Path, asked: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError, match=re.escape(sentence)):
        regress(RegressOptions(baseline, **asked), Voice())


def test_what_is_missing_is_said(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="there is no baseline"):
        regress(RegressOptions(tmp_path / "none.json"), Voice())
    with pytest.raises(ValueError, match="needs --dataset"):
        regress(RegressOptions(tmp_path / "none.json", update=True), Voice())
    with pytest.raises(ValueError, match="--margin must be more than 0"):
        RegressOptions(tmp_path / "none.json", margin=0.0)


def test_a_planted_fault_changes_the_copy_alone(tmp_path: Path) -> None:
    for number, (name, fault) in enumerate(FAULTS.items()):
        tree = plant(name, tmp_path / str(number))
        assert fault.new in (tree / fault.file).read_text() and fault.new not in (ROOT / fault.file).read_text()


def test_the_action_runs_the_gate_it_describes(baseline: Path, tmp_path: Path) -> None:
    """The script of `action.yml`, in a shell, with the variables that GitHub would set."""
    action = yaml.safe_load((ROOT / "action.yml").read_text(encoding="utf-8"))
    step = action["runs"]["steps"][-1]
    given = {name: str(told.get("default", "")) for name, told in action["inputs"].items()}
    given |= {"baseline": str(baseline), "arguments": f"--min-accuracy 99 --device cpu --out {tmp_path / 'run'}"}
    env = {
        name: re.sub(r"\$\{\{ inputs\.([\w-]+) \}\}", lambda m: given[m[1]], text) for name, text in step["env"].items()
    }
    assert not any("${{" in text for text in env.values())
    env |= {"GITHUB_ACTION_PATH": str(ROOT), "GITHUB_STEP_SUMMARY": str(tmp_path / "s.md"), "PYTHON": sys.executable}
    done = subprocess.run(["bash", "-e", "-c", step["run"]], cwd=tmp_path, env={**os.environ, **env}, check=False)
    assert done.returncode == ExitCode.REGRESSION
    assert "lowest allowed accuracy" in (tmp_path / "s.md").read_text()
    assert Xml.parse(tmp_path / "regress.xml").getroot().get("failures") == "1"


@pytest.mark.slow
@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_fails_the_gate(fault: str, tmp_path: Path) -> None:
    kept = Measurement.load(BASELINE)
    assert kept is not None
    found = gate(plant(fault, tmp_path), kept.task.judge_seed)
    assert found["exit_code"] == ExitCode.REGRESSION, found
