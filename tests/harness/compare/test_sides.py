"""What can be compared, and what is refused with a sentence."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from evaluation.base.challenge import get_challenge
from evaluation.curve.curve import Curve, CurvePoint, save_curve
from harness.compare.sides import Place, by_seed, read_side
from tests.harness.records.samples import accuracy, record


def keep(folder: Path, cap: int | None = 2, **changes: Any) -> Path:
    """A run's folder with a record in it."""
    folder.mkdir(parents=True)
    record(**{"settings": {"ipc_cap": cap}, **changes}).save(folder / "record.json")
    return folder


def test_a_run_is_one_set_of_images(tmp_path: Path) -> None:
    run = keep(tmp_path / "a")
    side = read_side(run)
    assert list(side.places) == [Place("digits", 1000, "IPC 2")] and side.of == "noise"
    (measured,) = side.places[Place("digits", 1000, "IPC 2")]
    assert list(by_seed([measured]).values()) == [0.89, 0.9, 0.91]
    assert read_side(run / "record.json").places == side.places


def test_a_run_that_the_clock_ended_stands_under_its_budget(tmp_path: Path) -> None:
    clock = record().clock
    assert clock is not None
    run = keep(tmp_path / "a", clock=clock.model_copy(update={"ended_by": "clock"}))
    assert list(read_side(run).places) == [Place("digits", 1000, "1 min 00 s")]


def test_of_several_seeds_each_is_one_value(tmp_path: Path) -> None:
    for seed, rounds in enumerate([(0.8, 0.9), (0.7, 0.8)]):
        keep(tmp_path / f"{seed}", seed=seed, accuracy=accuracy(rounds=rounds, judge_seed=seed))
    (measured,) = read_side(tmp_path).places.values()
    assert sorted(by_seed(measured).values()) == pytest.approx([0.75, 0.85])


def test_a_curve_has_a_place_for_each_ipc(tmp_path: Path) -> None:
    points = (CurvePoint(1, (0.5, 0.6), 20, 1.0), CurvePoint(5, (0.8,), 20, 1.0))
    save_curve(Curve("digits", points, of="submission 1234"), tmp_path / "curve.json")
    side = read_side(tmp_path / "curve.json")
    assert sorted(side.places) == [Place("digits", 20, "IPC 1"), Place("digits", 20, "IPC 5")]
    assert get_challenge("digits").name in {place.dataset for place in side.places}


def test_rounds_of_a_curve_and_of_a_run_pair_only_where_their_seeds_do(tmp_path: Path) -> None:
    save_curve(Curve("digits", (CurvePoint(2, (0.5, 0.6, 0.7), 1000, 1.0),), of="submission 1"), tmp_path / "c.json")
    run = read_side(keep(tmp_path / "run"))
    curve = read_side(tmp_path / "c.json")
    place = Place("digits", 1000, "IPC 2")
    shared = curve.places[place][0].rounds.keys() & run.places[place][0].rounds.keys()
    assert len(shared) == 1  # round 0 of judge seed 0; the curve's others have judge seeds of their own


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda folder: folder / "nothing", "there is no record in"),
        (lambda folder: keep(folder / "run", accuracy=None), "was judged"),
        (lambda folder: keep(folder / "a") and keep(folder / "b", generator="real") and folder, "runs of noise, real"),
        (lambda folder: keep(folder / "a") and keep(folder / "b") and folder, "two runs with the same seed"),
    ],
)
def test_what_cannot_be_compared_is_named(make: Any, sentence: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=sentence):
        read_side(make(tmp_path))


def test_other_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text("{")
    with pytest.raises(ValueError, match="no JSON"):
        read_side(tmp_path / "x.json")
    save_curve(Curve("digits", ()), tmp_path / "empty.json")
    with pytest.raises(ValueError, match="without points"):
        read_side(tmp_path / "empty.json")
