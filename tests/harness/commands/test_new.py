"""`new` writes a package that works as it is."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from harness.commands.new import NewOptions, new
from harness.report.console import Voice
from tests.forked import run_forked

ROOT = Path(__file__).resolve().parents[3]


def test_it_runs_and_passes_its_own_test(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    new(NewOptions("my-model"), Voice())
    folder = tmp_path / "my-model"
    project = tomllib.loads((folder / "pyproject.toml").read_text())["project"]
    entry = project["entry-points"]["submission.generators"]
    assert entry == {"my-model": "my_model:MyModel"}
    info = folder / "my_model-0.1.0.dist-info"  # as pip leaves it, without pip
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: my-model\nVersion: 0.1.0\n")
    (info / "entry_points.txt").write_text(f"[submission.generators]\nmy-model = {entry['my-model']}\n")
    env = os.environ | {"PYTHONPATH": f"{ROOT}{os.pathsep}{folder}"}

    test = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_my_model.py"]
    subprocess.run(test, cwd=folder, env=env, check=True, timeout=300)
    run = ("--generator", "my-model", "--set", "contrast=30", "--ipc", "3", "--no-judge", "--out", "run")
    words = ["--dataset", "digits", *run]
    done = run_forked("harness", words, folder=folder, environment=env, timeout=300)
    assert done.returncode == 0, done.stderr
    record = json.loads((folder / "run" / "record.json").read_text())
    assert (record["outcome"], record["images"]) == ("ok", 30)
    lint = [sys.executable, "-m", "ruff", "check", "--config", str(ROOT / "pyproject.toml"), "--ignore", "I001"]
    subprocess.run([*lint, "my_model.py", "test_my_model.py"], cwd=folder, check=True, timeout=60)


@pytest.mark.parametrize("name", ["My", "", "a b", "-a", "a-", "7up", "../x"])
def test_a_bad_name_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="is no name for a generator"):
        NewOptions(name)


def test_a_name_that_is_taken_and_a_folder_that_is_full_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="there is a generator 'native' already"):
        NewOptions("native")
    (tmp_path / "x.txt").touch()
    with pytest.raises(ValueError, match="exists already"):
        new(NewOptions("mine", tmp_path), Voice())
