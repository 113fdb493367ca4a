import json
from pathlib import Path
from typing import Any

import pytest

from evaluation.curve.real_equivalent import RealEquivalent
from harness.gpu.telemetry import GpuSummary
from harness.records.anytime import Anytime
from harness.records.record import Outcome, Record
from tests.harness.records.samples import record

ROOT = Path(__file__).resolve().parents[3]
OLD = Path(__file__).parent / "old"


def test_a_record_comes_back_from_its_file(tmp_path: Path) -> None:
    made = record()
    made.save(tmp_path / "record.json")
    assert Record.load(tmp_path / "record.json") == made
    assert not list(tmp_path.glob("*.part"))


def test_a_run_that_never_ended_has_a_record_too(tmp_path: Path) -> None:
    record(clock=None, outcome=Outcome.INTERRUPTED, accuracy=None, ipc=None, images=0).save(tmp_path / "record.json")
    assert Record.load(tmp_path / "record.json").clock is None


def is_record(path: Path) -> bool:
    told = json.loads(path.read_bytes())
    return isinstance(told, dict) and {"outcome", "clock"} <= set(told)


# every committed record, of whatever version wrote it
RECORDS = sorted(filter(is_record, (*ROOT.glob("benchmarks/results/**/*.json"), *OLD.glob("*.json"))))


def holds(told: object, kept: object) -> bool:
    """Whether `kept` has every key and value of `told`."""
    if isinstance(told, dict):
        return isinstance(kept, dict) and all(name in kept and holds(told[name], kept[name]) for name in told)
    if isinstance(told, list):
        return isinstance(kept, list) and len(told) == len(kept) and all(map(holds, told, kept))
    return type(told) is type(kept) and told == kept


@pytest.mark.parametrize("path", RECORDS, ids=lambda path: path.stem)
def test_an_old_record_loads_and_keeps_every_key_and_value(path: Path) -> None:
    after = Record.load(path).to_json()
    assert holds(json.loads(path.read_bytes()), json.loads(after))
    assert Record.model_validate_json(after).to_json() == after


def test_there_are_old_records() -> None:
    assert len(RECORDS) >= 3


def test_an_old_anytime_curve_loads_and_keeps_every_key_and_value() -> None:
    curve = Anytime.load(OLD / "anytime.json")
    assert curve is not None and holds(json.loads((OLD / "anytime.json").read_bytes()), json.loads(curve.to_json()))


@pytest.mark.parametrize(
    "part", ["accuracy", "clock.ledger", "audits.0", "gpu", "real_equivalent", "other_card.parts.host", "plan"]
)
def test_no_part_takes_a_key_that_it_does_not_know(part: str) -> None:
    old = Record.load(OLD / "other-card-and-copies.json")
    worth, gpu = RealEquivalent(4.5, (3.0, None), 50), GpuSummary(name="A card", count=1)
    told = json.loads(old.model_copy(update={"gpu": gpu, "real_equivalent": worth}).to_json())
    assert Record.model_validate_json(json.dumps(told)).gpu == gpu
    inner: Any = told
    for name in part.split("."):
        inner = inner[int(name) if name.isdecimal() else name]
    inner["strange"] = 1
    with pytest.raises(ValueError, match="strange"):
        Record.model_validate_json(json.dumps(told))


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("{", "is no record"),
        ("[]", "is no record"),
        ('{"schema": 1}', "dataset"),
        (None, "there is no record at"),
    ],
)
def test_anything_else_is_refused_in_one_sentence(tmp_path: Path, text: str | None, sentence: str) -> None:
    path = tmp_path / "record.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(ValueError, match=sentence) as caught:
        Record.load(path)
    assert "\n" not in str(caught.value)
