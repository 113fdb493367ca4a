"""`dit` and `dit-minmax` through the main job, for both challenges, on tiny random models in the published layout."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.models.dit import write_dit, write_json
from evaluation.base.challenge import get_challenge
from submission.diffusion.dit import MINMAX_FILE
from tests.end_to_end.harness_process import record_of, run_harness
from tests.submission.dits import cut


@pytest.mark.slow
@pytest.mark.parametrize("dataset", ["cifar100", "tiny-imagenet"])
@pytest.mark.parametrize("generator", ["dit", "dit-minmax"])
def test_a_run(tmp_path: Path, dataset: str, generator: str) -> None:
    challenge = get_challenge(dataset)
    if (generator, dataset) == ("dit", "tiny-imagenet"):
        folder = write_dit(tmp_path / "model")
    else:
        folder = write_dit(tmp_path / "model", challenge.classes, challenge.class_names)
        write_json(folder / MINMAX_FILE, {"format": 1})
    run = tmp_path / "run"
    options = ("--dataset", dataset, "--generator", generator, "--weights", folder, "--steps", "2", "--ipc", "1")
    done = run_harness(*options, "--set", "solver=unipc", "--budget", "300", "--no-judge", "--out", run)
    assert done.returncode == 0, done.stderr
    record = record_of(run)
    assert record["outcome"] == "ok" and record["images"] == challenge.classes
    assert record["plan"]["steps"] == 2 and record["declared"]["pretrained"] == "facebook/DiT-XL-2-256"
    names = sorted(path.name for path in (run / "images").iterdir())
    assert names == [challenge.folder_name(label) for label in range(challenge.classes)]


@pytest.mark.slow
def test_half_a_download_is_one_sentence_before_the_clock(tmp_path: Path) -> None:
    folder = write_dit(tmp_path / "model")
    cut(folder / "vae" / "diffusion_pytorch_model.safetensors")
    options = ("--dataset", "tiny-imagenet", "--generator", "dit", "--weights", folder, "--no-judge")
    done = run_harness(*options, "--out", tmp_path / "run")
    assert done.returncode == 2 and "half a download" in done.stderr.replace("\n", " ")
    assert "Traceback" not in done.stderr and not (tmp_path / "run" / "images").exists()
