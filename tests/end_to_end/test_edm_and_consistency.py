"""Published forms of ImageNet-64 and CIFAR-100 models, small and random, through the main job on both challenges."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.models.edm import dhariwal, song
from benchmarks.models.tiny import write_consistency
from submission.generators.edm import IMAGENET
from submission.training.edm.convert import convert_edm
from tests.end_to_end.harness_process import record_of, run_harness
from tests.submission.edm_files import snapshot, write_pickle

pytestmark = pytest.mark.slow

CLASSES = {"cifar100": 100, "tiny-imagenet": 200}


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("weights")
    for dataset, network in (("cifar100", song(classes=100)), (IMAGENET, dhariwal(classes=1000))):
        convert_edm(write_pickle(folder / "network.pkl", snapshot(network)), dataset, folder / "edm")
    return {"edm": folder / "edm", "consistency": write_consistency(folder / "consistency")}


@pytest.mark.parametrize("dataset", CLASSES)
@pytest.mark.parametrize("generator", ["edm", "consistency"])
def test_the_main_job(tmp_path: Path, weights: dict[str, Path], generator: str, dataset: str) -> None:
    run = tmp_path / "run"
    done = run_harness(
        "--dataset", dataset, "--generator", generator, "--weights", weights[generator], "--ipc", "1", "--steps", "2",
        "--budget", "300s", "--no-judge", "--out", run,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    record = record_of(run)
    assert record["outcome"] == "ok"
    assert record["images"] == CLASSES[dataset]
    assert record["plan"]["steps"] == 2
    assert "ImageNet" in record["declared"]["external_data"]


def test_a_generator_without_counterparts_for_the_classes_does_not_start_the_clock(weights: dict[str, Path]) -> None:
    for generator, path in weights.items():
        done = run_harness("--dataset", "digits", "--generator", generator, "--weights", path, "--no-judge")
        assert done.returncode == 2
        assert "the classes of 'digits' have no counterparts in ImageNet" in done.stderr
        assert "Traceback" not in done.stderr
