"""`sdxl-turbo` by name through the main job, on a tiny model in the published layout; PDA and prompts with it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from benchmarks.models.sdxl import write_sdxl
from evaluation.base.challenge import get_challenge
from submission.classes.prompts import template_prompts
from submission.contract.generator import LoadContext
from submission.contract.job import image_seed
from submission.generators.sdxl_turbo import SdxlTurbo
from submission.worker.source import decoded
from tests.end_to_end.harness_process import record_of, run_harness

pytestmark = pytest.mark.slow
SETTINGS = {"size": "64", "precision": "fp32"}


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_sdxl(tmp_path_factory.mktemp("sdxl"), half=True, full=False)


@pytest.mark.parametrize("dataset", ["cifar100", "tiny-imagenet"])
def test_every_class_folder_holds_the_image_of_its_own_prompt(weights: Path, tmp_path: Path, dataset: str) -> None:
    """The prompts come from a file in another order; under each label lies what its class's prompt alone makes."""
    challenge = get_challenge(dataset)
    prompts = [prompt for (prompt,) in template_prompts(challenge, "a {name} in a field")]
    by_name = dict(zip(challenge.class_names, prompts, strict=True))
    (tmp_path / "prompts.json").write_text(json.dumps(dict(sorted(by_name.items(), key=lambda item: item[1][::-1]))))
    settings = [word for name, value in SETTINGS.items() for word in ("--set", f"{name}={value}")]
    arguments = ("--dataset", dataset, "--generator", "sdxl-turbo", "--weights", weights, *settings)
    copies = ("--prompts", tmp_path / "prompts.json", "--ipc", "2", "--pda", "2")
    done = run_harness(*arguments, *copies, "--no-judge", "--out", tmp_path / "run")
    assert done.returncode == 0, done.stderr
    assert "1 generated and 1 augmented copy of each" in done.stdout
    record = record_of(tmp_path / "run")
    assert record["outcome"] == "ok" and record["ipc"]["mean"] == 2.0 and record["ipc"]["generated"] == 1.0
    assert record["settings"]["pda"] == 2
    assert list(json.loads(record["settings"]["prompts"]).values()) == [[prompt] for prompt in prompts]
    assert record["declared"]["pretrained"].startswith("stabilityai/sdxl-turbo")

    for label in range(0, challenge.classes, 25):
        only = json.dumps(dict.fromkeys(by_name, prompts[label]))
        turbo = SdxlTurbo.load(LoadContext(challenge, "cpu", weights, settings={**SETTINGS, "prompts": only}))
        made = turbo.generate(torch.tensor([0]), torch.tensor([image_seed(0, label, 0)]), 1)
        with Image.open(tmp_path / "run" / "images" / challenge.folder_name(label) / "000000.png") as image:
            stored = np.asarray(image).astype(int)
        assert np.abs(decoded(made, challenge.size)[0] - stored).max() <= 1


@pytest.mark.parametrize(
    ("content", "sentence"),
    [("a\nb\n", "the prompts have 2 lines and Digits has 10 classes"), ('{"ten": "x"}', "'ten', which is no class of")],
)
def test_prompts_that_do_not_fit_are_told_before_the_clock(tmp_path: Path, content: str, sentence: str) -> None:
    (tmp_path / "prompts").write_text(content)
    arguments = ("--dataset", "digits", "--generator", "sdxl-turbo", "--prompts", tmp_path / "prompts")
    done = run_harness(*arguments, "--out", tmp_path / "run")
    assert done.returncode == 2 and sentence in done.stderr and len(done.stderr.strip().splitlines()) == 1
    assert not (tmp_path / "run").exists()
