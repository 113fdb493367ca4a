"""The judge's commands as a user runs them."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from evaluation.base.challenge import get_challenge
from evaluation.base.images import ImageSet, random_subset
from evaluation.data.datasets import load_split
from evaluation.formats.shards import write_shard
from tests.forked import forked, run_forked

ROOT = Path(__file__).resolve().parents[3]
DIGITS = get_challenge("digits")


def evaluation(*arguments: str | Path, environment: Mapping[str, str] = os.environ) -> subprocess.CompletedProcess[str]:
    words = [str(argument) for argument in arguments]
    return run_forked("evaluation", words, folder=ROOT, environment=environment, timeout=240)


@pytest.fixture(scope="module")
def real_digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("submission")
    write_shard(folder / "images.npz", random_subset(load_split(DIGITS, "train", None), 4, seed=0))
    return folder


@pytest.fixture(scope="module")
def shifted_digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("shifted")
    images = random_subset(load_split(DIGITS, "train", None), 20, seed=0)
    write_shard(folder / "images.npz", ImageSet(images.images, (images.labels + 1) % 10))
    return folder


def test_judge_with_json_prints_one_object(real_digits: Path) -> None:
    done = evaluation(real_digits, "--dataset", "digits", "--rounds", "2", "--epochs", "1", "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    known = {"dataset", "images", "ipc", "accuracy", "audits", "engine", "epochs", "rounds"}
    assert {*told} == known | {"real_equivalent_ipc", "real_equivalent"}
    assert (told["dataset"], told["images"], told["epochs"], told["rounds"]) == ("digits", 40, 1, 2)
    assert told["ipc"] == {"mean": 4.0, "min": 4, "max": 4, "distinct": 4.0}
    assert len(told["accuracy"]["rounds"]) == 2 and told["accuracy"]["preview"]
    assert {audit["name"] for audit in told["audits"]} >= {"class_order", "leakage", "duplicates", "balance"}
    assert "takes about" in done.stderr


def test_judge_for_people_says_what_differs_from_the_protocol(real_digits: Path) -> None:
    arguments = ("--rounds", "1", "--epochs", "1", "--no-audits")
    done = evaluation(real_digits, "--dataset", "digits", *arguments)
    assert "one round, no interval" in done.stdout and "Preview: 1 epochs instead of 1,000." in done.stdout


def test_a_wrong_class_order_is_found_written_and_put_right(shifted_digits: Path, tmp_path: Path) -> None:
    order = tmp_path / "order.txt"
    wrong = evaluation("audit", shifted_digits, "--dataset", "digits", "--strict", "--write-class-order", order)
    assert wrong.returncode == 1 and "shifted by one" in wrong.stdout
    right = evaluation("audit", shifted_digits, "--dataset", "digits", "--strict", "--class-order", order, "--json")
    audits = {audit["name"]: audit["status"] for audit in json.loads(right.stdout)["audits"]}
    assert right.returncode == 0 and audits["class_order"] == "pass"


def test_export_is_what_the_published_evaluator_reads(real_digits: Path, tmp_path: Path) -> None:
    import torch

    done = evaluation("export", real_digits, "--dataset", "digits", "--out", tmp_path / "digits.pt", "--ipc", "2")
    assert done.returncode == 0, done.stderr
    tensor = torch.load(tmp_path / "digits.pt", weights_only=True)
    assert tensor.shape == (20, 3, 32, 32) and tensor.dtype == torch.float32
    assert abs(float(tensor.mean())) < 0.3 and 0.7 < float(tensor.std()) < 1.3


def test_a_curve_is_measured_and_then_left_alone(tmp_path: Path) -> None:
    out = tmp_path / "curve.json"
    arguments = ("curve", "--dataset", "digits", "--ipc", "1", "--rounds", "1", "--epochs", "1", "--out", out)
    done = evaluation(*arguments)
    assert done.returncode == 0 and "IPC 1, 1 epochs, a preview: " in done.stdout
    assert "Rounds of 1 epochs: 1, about " in done.stdout
    told = json.loads(out.read_text())
    assert told["points"][0]["preview"] and told["points"][0]["how"]["versions"]["torch"]
    assert "done before" in evaluation(*arguments).stdout
    assert json.loads(out.read_text()) == told
    other = evaluation(*arguments, "--engine", "reference")
    assert other.returncode == 2 and "was measured with the fast engine" in other.stderr


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("nowhere", "--dataset", "digits"), "does not exist"),
        (("nowhere", "--dataset", "letters"), "choose one of"),
        (("curve", "--dataset", "digits", "--ipc", "0", "--out", "x.json"), "--ipc: every number must be at least 1"),
        (("curve", "--dataset", "digits", "--rounds", "0", "--out", "x.json"), "rounds must be at least 1, not 0"),
        (("nowhere", "--dataset", "digits", "--rounds", "-1"), "rounds must be at least 1, not -1"),
        (("nowhere", "--dataset", "digits", "--epochs", "0"), "epochs must be at least 1, not 0"),
        (("nowhere", "--dataset", "digits", "--engine", "foo"), "there is no engine 'foo'"),
        (("curve", "--dataset", "digits", "--out", "/dev/null/x.json"), "/dev/null/x.json cannot be written"),
        (("export", "nowhere", "--dataset", "digits", "--out", "/dev/null/x.pt"), "/dev/null/x.pt cannot be written"),
    ],
)
def test_bad_input_gets_one_sentence_and_exit_2(arguments: tuple[str, ...], sentence: str) -> None:
    done = evaluation(*arguments)
    assert done.returncode == 2 and sentence in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_a_strict_judge_stops_at_a_failed_audit(shifted_digits: Path) -> None:
    done = evaluation(shifted_digits, "--dataset", "digits", "--strict", "--json")
    assert done.returncode == 1 and "Not judged" in done.stderr
    assert json.loads(done.stdout)["accuracy"] is None


def test_a_right_order_can_be_written_too(real_digits: Path, tmp_path: Path) -> None:
    order = tmp_path / "order.txt"
    done = evaluation("audit", real_digits, "--dataset", "digits", "--write-class-order", order)
    assert done.returncode == 0 and "the one as given" in done.stdout
    assert len(order.read_text().splitlines()) == 10


def test_a_checkpoint_that_cannot_be_written_is_told_before_any_work(real_digits: Path) -> None:
    done = evaluation(real_digits, "--dataset", "digits", "--checkpoint", "/dev/null/x")
    assert done.returncode == 2 and "/dev/null/x cannot be written" in done.stderr and done.stdout == ""


def test_an_empty_folder_is_nothing_to_judge(tmp_path: Path) -> None:
    done = evaluation(tmp_path, "--dataset", "digits")
    assert done.returncode == 3 and "holds no readable image" in done.stderr


@pytest.mark.parametrize("content", ["", "[1]", "{", "\x00"])
def test_a_broken_record_is_named(real_digits: Path, tmp_path: Path, content: str) -> None:
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "images.npz").write_bytes((real_digits / "images.npz").read_bytes())
    (tmp_path / "record.json").write_text(content)
    done = evaluation(tmp_path, "--dataset", "digits")
    assert done.returncode == 2 and "record.json is not the record of a run" in done.stderr


def saves_at_each_step_and_hangs_at_the_third(folder: Path) -> None:
    from evaluation.judge import checkpoint

    after_steps, checkpoint.SAVE_EVERY_S = checkpoint.Monitor.after_steps, 0.0

    def hanging(self: checkpoint.Monitor, seed: int, steps_done: int, *rest: Any) -> None:
        after_steps(self, seed, steps_done, *rest)
        if steps_done == 3:
            (folder / "reached").touch()
            time.sleep(600)

    checkpoint.Monitor.after_steps = hanging  # type: ignore[method-assign]


def test_an_interrupted_judgement_goes_on_without_being_asked(real_digits: Path, tmp_path: Path) -> None:
    arguments = (real_digits, "--dataset", "digits", "--epochs", "3", "--rounds", "2", "--no-audits", "--json")
    words = [str(argument) for argument in arguments]
    environment = {**os.environ, "XDG_CACHE_HOME": str(tmp_path)}
    process = forked(
        "evaluation",
        words,
        folder=tmp_path,
        environment=environment,
        output=tmp_path / "printed.txt",
        plant=saves_at_each_step_and_hangs_at_the_third,
    )
    while not (tmp_path / "reached").exists() and process.is_alive():
        time.sleep(0.01)
    process.kill()
    process.join()
    assert process.exitcode == -signal.SIGKILL, "it was killed in the middle, not finished"
    assert list(tmp_path.glob("*/judge/*.ckpt")), "and had saved"
    again, anew = (
        evaluation(*arguments, environment=env)
        for env in (environment, {**os.environ, "XDG_CACHE_HOME": str(tmp_path / "other")})
    )
    rounds = [json.loads(done.stdout)["accuracy"]["rounds"] for done in (again, anew)]
    assert rounds[0] == rounds[1]
    assert not list(tmp_path.glob("*/judge/*.ckpt")), "nothing is left of a judgement that is done"


def test_images_changed_since_their_run_are_refused(real_digits: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    (run / "images").mkdir(parents=True)
    write_shard(run / "images" / "images.npz", ImageSet(np.zeros((10, 3, 32, 32), np.uint8), np.arange(10)))
    (run / "record.json").write_text('{"images_hash": "another"}')
    done = evaluation(run, "--dataset", "digits")
    assert done.returncode == 2 and "not those that its run made" in done.stderr
