"""The challenge's published entries as docs/published-entries.md starts them: stand-ins that leave the same files."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import pytest
import torch
from PIL import Image

from tests.end_to_end.harness_process import ROOT, record_of
from tests.forked import run_forked

# Takes the third place's arguments and leaves its file where it starts.
THIRD = """
    import argparse
    import torch
    parser = argparse.ArgumentParser()
    parser.add_argument("--dataset", default="cifar100")
    parser.add_argument("--ipc", default=100, type=int)
    parser.add_argument("--aug_n", default=4, type=int)
    parser.add_argument("--size", default=32, type=int)
    args = parser.parse_args()
    each = args.ipc // 5 * (1 + args.aug_n)
    torch.save(torch.randn(100 * each, 3, args.size, args.size), "cifar100.pt")
"""
# The second place's module: batches until ten minutes after loading by its own clock, then tensors, handed over.
SECOND = """
    import time
    from datetime import datetime
    import numpy as np
    import torch

    def sample(args, dataset_idx, device="cuda"):
        assert args.ckpt[dataset_idx] == "cifar.pt" and args.num_sampling_steps == 10
        start_time, data, labels = datetime.now(), [], []
        while True:
            label = np.random.randint(args.nclass[dataset_idx], size=32)
            data.append(torch.randn(32, 3, 32, 32))
            labels.append(torch.tensor(label))
            time.sleep(0.05)
            if (datetime.now() - start_time).total_seconds() > 10 * 60:
                break
        return torch.cat(data), torch.cat(labels)
"""


def _run(cwd: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """`run` of a preview that is not judged, started in `cwd`."""
    shared = ["run", "--dataset", "cifar100", "--no-judge", "--out", "run"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "NO_COLOR": "1"}
    environment.pop("SUBMISSION_DATA", None)
    return run_forked("harness", [*shared, *arguments], folder=cwd, environment=environment, timeout=300)


def _documented(script: str) -> str:
    """The `--command` that the page gives for a script, with this Python."""
    page = (ROOT / "docs" / "published-entries.md").read_text(encoding="utf-8")
    found = re.search(rf'--command "ENTRY/bin/python ({re.escape(script)}[^"]*)"', page)
    assert found, script
    return f"{sys.executable} {found[1]}"


@pytest.mark.slow
def test_the_third_places_file_is_collected_from_where_it_starts(tmp_path: Path) -> None:
    (tmp_path / "submit_cifar100.py").write_text(dedent(THIRD))
    command = _documented("submit_cifar100.py").replace("--ipc 100", "--ipc 10")
    done = _run(tmp_path, "--name", "banko", "--command", command, "--collect", "cifar100.pt", "--budget", "60s")
    assert done.returncode == 0, done.stderr
    record = record_of(tmp_path / "run")
    assert record["outcome"] == "ok" and record["images"] == 1000 and record["ipc"]["min"] == 10
    assert record["settings"]["collect"] == "cifar100.pt"
    assert (tmp_path / "run" / "images" / "cifar100.pt").is_file() and not (tmp_path / "cifar100.pt").exists()
    (tmp_path / "cifar100.pt").touch()
    again = _run(tmp_path, "--command", command, "--collect", "cifar100.pt", "--out", "again")
    assert again.returncode == 2 and "is there already" in again.stderr


@pytest.mark.slow
def test_the_second_places_images_and_labels_are_saved_before_the_deadline(tmp_path: Path) -> None:
    (tmp_path / "evaluate.py").write_text(dedent(SECOND))
    shutil.copy(ROOT / "examples" / "second-place" / "generate.py", tmp_path)
    command = _documented("generate.py").replace("submission/imagenet_tiny.pt,submission/cifar.pt", "tiny.pt,cifar.pt")
    done = _run(tmp_path, "--name", "minmax-dit", "--command", f"{command} --margin 5", "--budget", "14s")
    assert done.returncode == 0, done.stderr
    record = record_of(tmp_path / "run")
    assert record["outcome"] == "ok" and record["clock"]["ended_by"] == "program" and record["images"] >= 32
    assert record["ipc"]["min"] < record["ipc"]["max"], "its classes are drawn"


@pytest.mark.slow
def test_a_file_that_is_still_written_at_the_deadline_counts_for_nothing(tmp_path: Path) -> None:
    slow = """
        import os, shutil
        shutil.copyfile("made.pt", "late.pt")
        for _ in range(3):
            os.fork()  # eight that write, so that on a busy machine too one has a core at the deadline
        file = os.open("late.pt", os.O_RDWR)
        first = os.pread(file, 1, 0)
        while True:
            os.pwrite(file, first, 0)
    """
    (tmp_path / "slow.py").write_text(dedent(slow))
    torch.save(torch.randn(20, 3, 32, 32), tmp_path / "made.pt")
    command = [f"{sys.executable} slow.py", "--collect", "late.pt", "--budget", "5s", "--dataset", "digits"]
    done = _run(tmp_path, "--command", *command)
    assert done.returncode == 3, done.stderr
    record = record_of(tmp_path / "run")
    assert record["outcome"] == "no_images" and record["images"] == 0
    assert "after the deadline" in record["detail"]


def test_images_outside_class_folders_are_named_in_the_outcome(tmp_path: Path) -> None:
    flat = """
        import shutil, sys
        for index in range(155):
            shutil.copyfile("made.png", f"{sys.argv[1]}/{index}.png")
    """
    (tmp_path / "flat.py").write_text(dedent(flat))
    Image.new("RGB", (32, 32)).save(tmp_path / "made.png")
    done = _run(tmp_path, "--command", f"{sys.executable} flat.py {{output}}", "--budget", "60s", "--dataset", "digits")
    assert done.returncode == 3
    record = record_of(tmp_path / "run")
    assert record["outcome"] == "invalid_output" and "155 images lie outside class folders" in record["detail"]
    assert "155 images lie outside class folders" in done.stdout
