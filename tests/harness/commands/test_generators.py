"""`generators` says what is ready and, where something is missing, what."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from harness.commands.generators import GeneratorsOptions, generators, rows
from harness.report.console import Voice
from tests.real_data import real_data


@pytest.fixture(autouse=True)
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))


def row(name: str, data: Path | None) -> dict[str, Any]:
    return next(found for found in rows(None, data) if found["name"] == name)


def test_training_images_count_as_needed(tmp_path: Path) -> None:
    found = row("real", tmp_path)
    assert found["ready"] == ["digits"]
    assert "training images of CIFAR-100, which are not here; give --data" in found["missing"]["cifar100"]


def test_training_images_that_are_here() -> None:
    assert "cifar100" in row("real", real_data("cifar-100-python"))["ready"]


def test_shipped_weights_are_at_hand() -> None:
    assert row("gaussian", None)["missing"] == {}


def test_each_setting_is_listed_with_range_and_default() -> None:
    settings = {each["name"]: each for each in row("native", None)["settings"]}
    assert settings["guidance"]["default"] == 1.0 and settings["guidance"]["range"] == "a number from 0 to 20"
    assert "consistency" in settings["solver"]["range"]
    assert row("noise", None)["settings"] == []


def test_the_list_is_short_and_a_name_gives_everything(capsys: pytest.CaptureFixture[str]) -> None:
    generators(GeneratorsOptions(), Voice())
    listed = capsys.readouterr().out
    assert len(listed.splitlines()) < 50 and "solver" not in listed
    generators(GeneratorsOptions("edm"), Voice())
    told = capsys.readouterr().out
    assert "guidance" in told and "convert-edm" in told and "sdxl" not in told


def test_an_unknown_name_is_refused() -> None:
    with pytest.raises(ValueError, match="edn"):
        generators(GeneratorsOptions("edn"), Voice())
