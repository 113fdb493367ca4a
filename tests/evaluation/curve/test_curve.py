from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from evaluation.base.challenge import get_challenge
from evaluation.base.images import ImageSet, random_subset
from evaluation.commands.curve import CurveOptions, curve
from evaluation.curve.curve import Curve, CurvePoint, Supply, load_curve, measure_point, save_curve
from evaluation.data.datasets import load_split
from evaluation.judge.protocol import Progress

DIGITS = get_challenge("digits")


def test_a_curve_comes_back_from_its_file(tmp_path: Path) -> None:
    curve = Curve("digits", (CurvePoint(1, (0.5, 0.6), 1000, 3.0), CurvePoint(2, (0.7,), 60, 1.0)))
    save_curve(curve, tmp_path / "curve.json")
    assert load_curve(DIGITS, tmp_path / "curve.json") == curve
    assert [point.ipc for point in curve.at(60)] == [2]
    with pytest.raises(ValueError, match="is a curve of digits"):
        load_curve(get_challenge("cifar100"), tmp_path / "curve.json")


@pytest.mark.parametrize(
    "content", ["", "[]", '{"dataset": "digits"}', '{"dataset": "digits", "points": [{"ipc": 1}]}']
)
def test_a_broken_curve_is_named(tmp_path: Path, content: str) -> None:
    (tmp_path / "curve.json").write_text(content)
    with pytest.raises(ValueError, match=r"curve\.json is not a curve"):
        load_curve(DIGITS, tmp_path / "curve.json")


def test_a_point_of_fewer_rounds_or_epochs_is_a_preview() -> None:
    full, fewer_rounds, fewer_epochs = (
        CurvePoint(1, rounds, epochs, 1.0)
        for rounds, epochs in (((0.5, 0.6, 0.7), 1000), ((0.5,), 1000), ((0.5, 0.6, 0.7), 999))
    )
    assert (full.preview, fewer_rounds.preview, fewer_epochs.preview) == (False, True, True)


def test_no_curve_has_no_points(tmp_path: Path) -> None:
    assert load_curve(DIGITS, tmp_path / "none.json").points == ()


def test_a_subset_is_balanced_and_has_nothing_twice() -> None:
    images = np.arange(60, dtype=np.uint8).reshape(60, 1, 1, 1).repeat(3, 1)
    whole = ImageSet(images, np.repeat(np.arange(3), 20))
    subset = random_subset(whole, 5, seed=1)
    assert np.bincount(subset.labels).tolist() == [5, 5, 5]
    assert len(np.unique(subset.images[:, 0, 0, 0])) == 15
    assert not np.array_equal(subset.images, random_subset(whole, 5, seed=2).images)


def test_a_point_is_measured_round_by_round_and_only_what_is_missing(tmp_path: Path) -> None:
    train, test = load_split(DIGITS, "train", None), load_split(DIGITS, "test", None)
    small = random_subset(test, 3, seed=0)
    real = Supply(train, drawn=True)
    first, second, again = (real.take(2, number, DIGITS).images for number in (0, 1, 0))
    assert np.array_equal(first, again) and not np.array_equal(first, second), "each round has its own images"
    told: list[CurvePoint] = []
    options = {"epochs": 1, "device": "cpu", "checkpoints": tmp_path, "on_round": told.append}
    point = measure_point(1, real, small, DIGITS, rounds=2, **options)
    assert [len(each.rounds) for each in told] == [1, 2] and told[-1] == point
    again = measure_point(1, real, small, DIGITS, rounds=2, before=told[0], **options)
    assert again.rounds == point.rounds and len(told) == 3
    assert not list(tmp_path.iterdir())
    seen: list[Progress] = []
    measure_point(1, real, small, DIGITS, rounds=3, before=told[1], **options, on_progress=seen.append)
    assert seen and {now.rounds for now in seen} == {1}, "the missing one"
    with pytest.raises(ValueError, match="IPC 121 cannot be drawn"):
        measure_point(121, real, small, DIGITS, rounds=1, **options)


def test_a_submission_has_a_curve_of_its_first_images(tmp_path: Path) -> None:
    train, test = load_split(DIGITS, "train", None), random_subset(load_split(DIGITS, "test", None), 3, seed=0)
    mine = Supply(random_subset(train, 4, seed=1), drawn=False)
    assert mine.take(2, 0, DIGITS).labels.tolist() == sorted(2 * list(range(10)))
    assert np.array_equal(mine.take(2, 0, DIGITS).images, mine.take(2, 5, DIGITS).images)
    assert mine.of != Supply(random_subset(train, 4, seed=2), drawn=False).of
    point = measure_point(2, mine, test, DIGITS, rounds=2, epochs=1, device="cpu", checkpoints=tmp_path)
    assert len(point.rounds) == 2
    with pytest.raises(ValueError, match="there are 4 images in some class, so IPC 5 cannot be drawn"):
        measure_point(5, mine, test, DIGITS, rounds=1, epochs=1, device="cpu", checkpoints=tmp_path)


def test_a_file_holds_the_curve_of_one_set_of_images(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder, out = tmp_path / "mine", tmp_path / "curve.json"
    train = random_subset(load_split(DIGITS, "train", None), 2, seed=0)
    for number, (image, label) in enumerate(zip(train.images, train.labels, strict=True)):
        (folder / str(label)).mkdir(parents=True, exist_ok=True)
        Image.fromarray(image.transpose(1, 2, 0)).save(folder / str(label) / f"{number:03d}.png")
    options = CurveOptions("digits", out, folder, (1,), rounds=1, epochs=1, device="cpu", engine="reference")
    curve(options)
    told = load_curve(DIGITS, out)
    assert told.of.startswith("submission ") and [point.ipc for point in told.points] == [1]
    curve(options)
    assert "done before" in capsys.readouterr().out
    with pytest.raises(ValueError, match="not of random real images; choose another --out"):
        curve(replace(options, submission=None))
