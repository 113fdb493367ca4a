"""A run of twenty digits, ten of them early and ten late, made by hand and judged for real."""

import os
from datetime import UTC, datetime
from pathlib import Path

import pytest
from PIL import Image

import harness.run.judging as judging
from evaluation.base.challenge import get_challenge
from evaluation.base.images import ImageSet, random_subset
from evaluation.data.datasets import load_split
from harness.commands.anytime import AnytimeOptions, anytime
from harness.records.anytime import Anytime
from harness.records.record import Record
from harness.records.run_folder import RunFolder
from harness.report.console import Voice
from harness.run.collect import collect
from tests.harness.records.samples import record

DIGITS = get_challenge("digits")
STARTED_AT = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    folder = RunFolder(tmp_path)
    train = load_split(DIGITS, "train", None)
    assert isinstance(train, ImageSet)
    chosen = random_subset(train, 2, 0)
    for number, (image, label) in enumerate(zip(chosen.images, chosen.labels, strict=True)):
        path = folder.images / DIGITS.folder_name(int(label)) / f"{number % 2:06d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image.transpose(1, 2, 0)).save(path)
        written = STARTED_AT.timestamp() + (5.0 if number % 2 == 0 else 35.0)
        os.utime(path, (written, written))
    found = collect(folder.images, DIGITS, STARTED_AT)
    over_time = list(found.over_time)
    record(accuracy=None, images_hash=found.images_hash, images_over_time=over_time).save(folder.record)
    return tmp_path


def asked(run: Path, at: tuple[float, ...]) -> AnytimeOptions:
    return AnytimeOptions(run, at=at, epochs=2, rounds=1, device="cpu")


def measured(options: AnytimeOptions) -> Anytime:
    anytime(options, Voice())
    found = Anytime.load(options.run / "anytime.json")
    assert found is not None
    return found


def test_each_prefix_is_judged_and_the_report_shows_it(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = measured(asked(run, (4.0, 20.0)))
    assert [(point.seconds, point.images) for point in found.points] == [(4.0, 0), (20.0, 10), (40.0, 20)]
    assert found.points[0].accuracy is None
    assert found.preview and found.first_image_s == pytest.approx(5.0) and found.area is not None
    assert (run / "anytime.png").read_bytes().startswith(b"\x89PNG")
    assert "Accuracy over time" in (run / "report.html").read_text(encoding="utf-8")
    assert Anytime.load(run / "anytime.json") == found
    assert not list(run.glob("*.ckpt"))
    assert "Area under the curve" in capsys.readouterr().out


def test_points_that_are_done_are_not_judged_again(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = measured(asked(run, (20.0,)))
    monkeypatch.setattr(judging, "judge", None)  # whoever calls it now fails
    more = measured(asked(run, (20.0, 30.0, 38.0)))
    assert more.points[0] == first.points[0] and more.points[-1] == first.points[-1]
    assert [point.images for point in more.points] == [10, 10, 20, 20]


def test_an_interruption_keeps_what_is_done(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    judge, calls = judging.judge, []

    def interrupted(*arguments: object, **named: object) -> object:
        calls.append(arguments)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return judge(*arguments, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(judging, "judge", interrupted)
    with pytest.raises(KeyboardInterrupt):
        measured(asked(run, (20.0,)))
    half = Anytime.load(run / "anytime.json")
    assert half is not None and half.area is None and [point.images for point in half.points] == [10]
    whole = measured(asked(run, (20.0,)))
    assert len(calls) == 3 and whole.points[0] == half.points[0]


def test_the_whole_run_is_taken_from_its_record(run: Path) -> None:
    score = measured(asked(run, (40.0,))).points[-1].accuracy
    Record.load(run / "record.json").model_copy(update={"accuracy": score}).save(run / "record.json")
    (run / "anytime.json").unlink()
    again = measured(AnytimeOptions(run, points=1, device="cpu"))
    assert again.points[-1].accuracy == score  # the seconds spent on it too: it was not judged again


@pytest.mark.parametrize(
    ("options", "sentence"), [({"at": (70.0,)}, "budget was 60 s"), ({"points": 0}, "--points must be")]
)
def test_bad_input_is_refused(run: Path, options: dict[str, object], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        measured(AnytimeOptions(run, **options))  # type: ignore[arg-type]


def test_images_of_another_run_are_refused(run: Path) -> None:
    next((run / "images").rglob("*.png")).unlink()
    with pytest.raises(ValueError, match="not those that the run made"):
        measured(asked(run, (20.0,)))


def test_a_copy_without_its_times_is_refused(run: Path) -> None:
    for path in (run / "images").rglob("*.png"):
        path.touch()
    with pytest.raises(ValueError, match="cp -a"):
        measured(asked(run, (20.0,)))
