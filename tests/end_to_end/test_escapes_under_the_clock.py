"""The sample escapes do what they say, and the clock ends them all. Both routes are tested in tests/harness."""

from __future__ import annotations

import os
import shlex
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from PIL import Image

from evaluation.base.challenge import get_challenge
from harness.clock.launch import Launch, Terms, command_line, environment, write_classes
from harness.clock.supervisor import Ending, supervise
from tests.harness.clock.clocked import MARKER, Scene

ESCAPES = Path(__file__).parent / "escapes"
DIGITS = get_challenge("digits")


@dataclass(frozen=True)
class Painted:
    ending: Ending
    whole: set[str]
    broken: set[str]
    log: str


def run_escape(scene: Scene, escape: str, budget_s: float, arguments: str = "") -> Painted:
    terms = Terms(scene.output, DIGITS.name, budget_s, seed=3, classes=scene.folder / "classes.json")
    write_classes(DIGITS, terms.classes)
    command = command_line(f"{shlex.quote(sys.executable)} {shlex.quote(str(ESCAPES / escape))} {arguments}", terms)
    base = {**os.environ, MARKER: scene.marker}
    ending = supervise(
        lambda clock: Launch(command, environment(base, terms, clock.deadline, None), scene.folder),
        budget_s=budget_s,
        log=scene.log,
    )
    assert scene.survivors() == []
    whole: set[str] = set()
    broken: set[str] = set()
    for path in scene.output.rglob("*"):
        if path.is_file():
            (whole if is_whole(path) else broken).add(str(path.relative_to(scene.output)))
    return Painted(ending, whole, broken, scene.log.read_text())


def is_whole(path: Path) -> bool:
    try:
        with Image.open(path) as image:
            image.load()
            return (image.mode, image.size) == ("RGB", (32, 32))
    except OSError:
        return False


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


def test_never_stops(scene: Scene) -> None:
    painted = run_escape(scene, "never_stops.py", 3)
    assert painted.ending.reason == "deadline"
    assert {"000-0/000000.png", "000-0/500000.png"} <= painted.whole
    assert len(painted.broken) <= 2


def test_leaves_halves(scene: Scene) -> None:
    painted = run_escape(scene, "leaves_halves.py", 3)
    assert painted.ending.reason == "deadline"
    assert painted.whole == {f"{label:03d}-{label}/000000.png" for label in range(10)}
    assert len(painted.broken) == 30


def test_kills_its_parent(scene: Scene) -> None:
    painted = run_escape(scene, "kills_its_parent.py", 60)
    assert painted.ending.reason == "guard_lost"
    assert {f"{label:03d}-{label}/000000.png" for label in range(10)} <= painted.whole


def test_fills_its_log(scene: Scene) -> None:
    painted = run_escape(scene, "fills_its_log.py", 3)
    assert painted.ending.reason == "deadline"
    assert painted.whole
    assert len(painted.log) < (16 << 20) + 300


def test_fills_memory(scene: Scene) -> None:
    painted = run_escape(scene, "fills_memory.py", 60, "64")
    assert (painted.ending.reason, painted.ending.returncode) == ("exited", 0)
    assert (len(painted.whole), painted.broken, painted.log) == (10, set(), "64 MB held\n")
