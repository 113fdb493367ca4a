"""The main job as a user runs it: plan, generate under the clock, judge, record, report."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from evaluation.base.challenge import get_challenge
from evaluation.base.images import random_subset
from evaluation.data.datasets import load_split
from harness.records.record import Record
from tests.end_to_end.harness_process import record_of, run_harness, run_new_harness
from tests.real_data import real_data

QUICK = ("--dataset", "digits", "--epochs", "1", "--rounds", "1")

KEYS = {
    *("schema", "dataset", "generator", "settings", "seed", "outcome", "budget_s", "clock", "images", "ipc", "plan"),
    *("profile", "audits", "accuracy", "real_equivalent_ipc", "throughput", "gpu", "versions", "commit", "command"),
}
CLOCK_KEYS = {"rule", "started", "deadline", "ended", "ledger"}
LEDGER_KEYS = {"load", "warmup", "profile", "generate", "write", "idle", "killed_after_s"}
ACCURACY_KEYS = {"mean", "std", "ci95", "rounds", "per_class", "epochs", "engine"}


@pytest.fixture(scope="module")
def noise_run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    run = tmp_path_factory.mktemp("noise") / "run"
    done = run_new_harness(*QUICK, "--generator", "noise", "--ipc", "3", "--rounds", "2", "--out", run)
    assert done.returncode == 0, done.stderr
    return run, done.stdout


def test_the_record_has_every_key_of_the_contract(noise_run: tuple[Path, str]) -> None:
    record = record_of(noise_run[0])
    assert record.keys() >= KEYS
    assert record["clock"].keys() >= CLOCK_KEYS
    assert record["clock"]["ledger"].keys() == LEDGER_KEYS
    assert record["accuracy"].keys() >= ACCURACY_KEYS
    ipc = {"mean": 3.0, "min": 3, "max": 3, "distinct": None, "generated": None}
    assert record["ipc"] | {"distinct": None} == ipc
    assert record["outcome"] == "ok"
    assert record["clock"]["ended_by"] == "ipc"
    assert Record.load(noise_run[0] / "record.json").to_json() + "\n" == (noise_run[0] / "record.json").read_text()


def test_every_second_is_on_the_ledger(noise_run: tuple[Path, str]) -> None:
    clock = record_of(noise_run[0])["clock"]
    phases = [seconds for name, seconds in clock["ledger"].items() if name != "killed_after_s"]
    assert sum(phases) == clock["ended"] - clock["started"]
    assert clock["ledger"]["load"] > 0
    assert clock["deadline"] - clock["started"] == 60.0


def test_the_output_folder(noise_run: tuple[Path, str]) -> None:
    images = noise_run[0] / "images"
    assert sorted(folder.name for folder in images.iterdir()) == [f"{i:03d}-{i}" for i in range(10)]
    assert [file.name for file in sorted((images / "004-4").iterdir())] == ["000000.png", "000001.png", "000002.png"]
    with Image.open(images / "004-4" / "000000.png") as image:
        assert (image.size, image.mode) == ((32, 32), "RGB")


def test_the_report_stands_alone(noise_run: tuple[Path, str]) -> None:
    page = (noise_run[0] / "report.html").read_text(encoding="utf-8")
    # links to papers may stand in it; nothing is loaded, and no script runs but its own
    assert 'src="' not in page.replace('src="data:', "") and "<link" not in page and "@import" not in page
    assert "<script src" not in page and "default-src 'none'" in page
    # a generated and a real strip for each of ten classes, and the pairs closest to training images
    assert page.count("data:image/webp") == 22
    accuracy = record_of(noise_run[0])["accuracy"]["mean"]
    assert f"{100 * accuracy:.2f}%" in page
    assert "preview" in page


def test_the_terminal_says_what_matters(noise_run: tuple[Path, str]) -> None:
    run, out = noise_run
    for word in ("Outcome", "IPC", "Clock", "Accuracy", "Real images", str(run / "report.html"), "preview"):
        assert word in out


def test_a_run_is_not_written_over(noise_run: tuple[Path, str]) -> None:
    done = run_harness(*QUICK, "--generator", "noise", "--out", noise_run[0])
    assert done.returncode == 2
    assert "exists already" in done.stderr and "Traceback" not in done.stderr


def test_resume_judges_again_what_the_clock_left(noise_run: tuple[Path, str], tmp_path: Path) -> None:
    run = tmp_path / "run"
    first = run_harness(*QUICK, "--generator", "real", "--ipc", "2", "--no-judge", "--out", run)
    assert first.returncode == 0 and record_of(run)["accuracy"] is None
    before = record_of(run)["clock"]
    assert run_harness(*QUICK, "--resume", "--out", run).returncode == 0
    after = record_of(run)
    assert after["clock"] == before and after["accuracy"]["rounds"]
    picture = run / "images" / "003-3" / "000000.png"
    Image.fromarray(np.zeros((32, 32, 3), np.uint8)).save(picture)
    changed = run_harness(*QUICK, "--resume", "--out", run)
    assert changed.returncode == 2 and "not those that the run made" in changed.stderr


def test_json_alone_on_standard_output(tmp_path: Path) -> None:
    done = run_harness(*QUICK, "--generator", "noise", "--ipc", "1", "--out", tmp_path / "run", "--json")
    assert json.loads(done.stdout) == record_of(tmp_path / "run")


def test_a_seed_makes_the_same_images_again(tmp_path: Path) -> None:
    hashes = []
    for name, batch in (("a", "64"), ("b", "1")):
        arguments = ("--generator", "noise", "--ipc", "2", "--seed", "7", "--no-judge", "--batch-size", batch)
        assert run_harness(*QUICK, *arguments, "--out", tmp_path / name).returncode == 0
        hashes.append(record_of(tmp_path / name)["images_hash"])
    assert hashes[0] == hashes[1]


def test_a_wrong_class_order_comes_with_the_file_that_puts_it_right(tmp_path: Path) -> None:
    shifted, run = tmp_path / "shifted", tmp_path / "run"
    images = random_subset(load_split(get_challenge("digits"), "train", None), 5, seed=0)
    for number, (image, label) in enumerate(zip(images.images, images.labels, strict=True)):
        folder = shifted / str((label + 1) % 10)
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image.transpose(1, 2, 0)).save(folder / f"{number}.png")
    done = run_harness(*QUICK, "--command", f"cp -r {shifted}/. {{output}}", "--no-judge", "--out", run)
    assert done.returncode == 0, done.stderr
    order = (run / "class_order.txt").read_text(encoding="utf-8").split()
    assert order == [f"{(label - 1) % 10:03d}-{(label - 1) % 10}" for label in range(10)]
    assert "--class-order" in done.stdout
    strict = run_harness(*QUICK, "--resume", "--strict", "--out", run)
    assert strict.returncode == 1 and "Not judged" in strict.stdout, strict.stderr
    assert record_of(run)["accuracy"] is None and (run / "report.html").exists()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--dataset", "mnist"), "there is no data set 'mnist'"),
        (("--dataset", "digits", "--generator", "dall-e"), "no generator is called 'dall-e'"),
        (("--dataset", "digits", "--budget", "soon"), "'soon' is not a duration"),
        (("--dataset", "digits", "--generator", "noise", "--set", "colour=red"), "has no setting 'colour'"),
        (("--dataset", "digits", "--command", "no-such-program"), "there is no program 'no-such-program'"),
        (("--dataset", "digits", "--command", "echo {outptu}"), "{outptu}"),
        (("--dataset", "cifar100", "--data", "/nonexistent"), "/nonexistent"),
    ],
)
def test_bad_input_gets_one_sentence_and_exit_2(tmp_path: Path, arguments: tuple[str, ...], sentence: str) -> None:
    done = run_harness(*arguments, "--out", tmp_path / "run")
    assert done.returncode == 2, done.stdout + done.stderr
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert done.stdout == "" and not (tmp_path / "run").exists(), "nothing is begun before it is refused"


def test_real_cifar100(tmp_path: Path) -> None:
    run, data = tmp_path / "run", real_data("cifar-100-python")
    arguments = ("--dataset", "cifar100", "--generator", "real", "--budget", "2m", "--ipc", "10")
    done = run_harness(*arguments, "--epochs", "3", "--rounds", "1", "--data", data, "--out", run)
    assert done.returncode == 0, done.stderr
    record = record_of(run)
    assert len(list((run / "images").iterdir())) == 100
    assert (run / "images" / "001-aquarium_fish" / "000009.png").exists()
    assert record["accuracy"]["mean"] > 0.02  # chance is 1%
    assert record["accuracy"]["ci95"] is None
    assert (run / "report.html").stat().st_size > 100_000
