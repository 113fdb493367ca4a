"""The contract, without a container: python -m pytest."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

from PIL import Image

HERE = Path(__file__).parent


def test_images_of_every_class_and_an_end_before_the_deadline(tmp_path: Path) -> None:
    (tmp_path / "classes.json").write_text(json.dumps([str(label) for label in range(10)]))
    output = tmp_path / "output"
    output.mkdir()
    deadline = time.monotonic() + 8
    told = {
        "OUTPUT": str(output),
        "DATASET": "digits",
        "BUDGET_SECONDS": "8",
        "DEADLINE_MONOTONIC": str(deadline),
        "SEED": "0",
        "CLASSES": str(tmp_path / "classes.json"),
    }
    environment = {**os.environ, **{f"SUBMISSION_{name}": value for name, value in told.items()}}
    subprocess.run([sys.executable, HERE / "submission.py"], env=environment, check=True, timeout=60)
    assert time.monotonic() < deadline
    images = sorted(output.rglob("*.png"))
    per_class = [len(list(folder.iterdir())) for folder in sorted(output.iterdir())]
    assert len(per_class) == 10 and min(per_class) == max(per_class) > 0
    assert Image.open(images[0]).mode == "RGB"
