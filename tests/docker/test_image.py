"""What is in the image, and what building it again costs."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.docker.images import COMMIT, TAG, build, docker

pytestmark = [pytest.mark.docker, pytest.mark.usefixtures("image")]

MOST_GB = 2.4  # with a CPU build of torch; the CUDA build alone is larger


def inspected(tag: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(docker("image", "inspect", tag).stdout)[0]
    return found


def in_image(*command: str, user: str = "1000") -> str:
    entry = ("--user", user, "--entrypoint", command[0])
    return docker("run", "--rm", "--network", "none", *entry, TAG, *command[1:]).stdout.strip()


def test_the_image_is_small_and_carries_no_wheel() -> None:
    assert in_image("find", "/", "-xdev", "-name", "torch-*.whl", user="0") == ""
    if "+cpu" not in in_image("python", "-c", "from importlib.metadata import version; print(version('torch'))"):
        pytest.skip("pip knows no CPU build of torch here")
    assert inspected(TAG)["Size"] <= MOST_GB * 1e9


def test_the_image_says_what_it_was_built_from() -> None:
    config = inspected(TAG)["Config"]
    assert config["Labels"]["org.opencontainers.image.revision"] == COMMIT
    assert f"SUBMISSION_COMMIT={COMMIT}" in config["Env"]
    assert config["User"] not in ("", "0", "root") and config["StopSignal"] == "SIGINT"


def test_help_answers_without_a_network() -> None:
    assert "--dataset" in docker("run", "--rm", "--network", "none", TAG, "--help").stdout + in_image(
        "python", "-m", "harness", "run", "--help"
    )
    assert "judge" in in_image("python", "-m", "evaluation", "--help")


def test_an_edit_of_the_code_keeps_the_packages(context: Path, tmp_path: Path) -> None:
    edited = shutil.copytree(context, tmp_path / "edited")
    with (edited / "harness/run/run.py").open("a", encoding="utf-8") as code:
        code.write("# edited\n")
    build(edited, f"{TAG}:edited")
    try:
        before, after = (inspected(tag)["RootFS"]["Layers"] for tag in (TAG, f"{TAG}:edited"))
        kept = sum(mine == theirs for mine, theirs in zip(before, after, strict=True))
        size = inspected(f"{TAG}:edited")["Size"]
    finally:
        docker("image", "rm", f"{TAG}:edited")
    # What the packages lie in is shared: the code and its bytecode are all that was made anew.
    assert before != after and before[:kept] == after[:kept] and len(before) - kept <= 2
    assert abs(size - inspected(TAG)["Size"]) < 1e6
