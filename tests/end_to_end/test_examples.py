"""What competitors start from: the template passes its own test, and the harness reads what the examples write."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from evaluation.base.challenge import get_challenge
from evaluation.submitted.folder import read_folder

EXAMPLES = Path(__file__).parents[2] / "examples"


def test_the_template_passes_its_own_test() -> None:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-c", os.devnull]
    done = subprocess.run([*command, EXAMPLES / "template"], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout


def test_the_smallest_container_writes_what_the_judge_reads(tmp_path: Path) -> None:
    challenge = get_challenge("digits")
    (tmp_path / "classes.json").write_text(json.dumps(list(challenge.class_names)))
    (tmp_path / "output").mkdir()
    told = {"SUBMISSION_CLASSES": str(tmp_path / "classes.json"), "SUBMISSION_OUTPUT": str(tmp_path / "output")}
    program = EXAMPLES / "container" / "generate.py"
    subprocess.run([sys.executable, program], env={**os.environ, **told}, check=True, timeout=120)
    contents = read_folder(tmp_path / "output", challenge)
    assert len(contents.images.labels) == 1000 and not contents.dropped
