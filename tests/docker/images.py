"""The project's image as the tests of this room build and run it, with the docker command as a user has it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
TAG = "submission-test"
COMMIT = "0123456789abcdef"
# what .dockerignore lets through
CONTEXT = ("Dockerfile", ".dockerignore", "LICENSE", "README.md", "pyproject.toml", "requirements.txt")
PACKAGES = ("evaluation", "submission", "harness")
# A user that neither the image nor the machine knows; who is no root can only be himself.
USER = 12345 if os.geteuid() == 0 else os.geteuid()
HARDENED = (
    *("--read-only", "--network", "none", "--cap-drop", "ALL", "--security-opt", "no-new-privileges"),
    *("--tmpfs", "/tmp", "--user", f"{USER}:{USER}"),
)


def docker(*arguments: str | Path, check: bool = True, timeout: float = 600) -> subprocess.CompletedProcess[str]:
    """`docker ARGUMENTS` to its end."""
    # The older builder comes with the command; the newer is a plugin that may not be there.
    env = {**os.environ, "DOCKER_BUILDKIT": os.environ.get("DOCKER_BUILDKIT", "0")}
    command = ["docker", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=timeout, env=env)
    assert not check or done.returncode == 0, f"{command} ended with {done.returncode}: {done.stdout}{done.stderr}"
    return done


def make_context(folder: Path) -> Path:
    """A build context of this checkout in `folder`, with a wheel of a CPU build of torch where pip finds one."""
    for name in CONTEXT:
        shutil.copy2(ROOT / name, folder / name)
    for package in PACKAGES:
        shutil.copytree(ROOT / package, folder / package, ignore=shutil.ignore_patterns("__pycache__"))
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]
    pin = next(line for line in (ROOT / "requirements.txt").read_text().splitlines() if line.startswith("torch=="))
    asked = [*pip, "install", "--dry-run", "--ignore-installed", "--no-deps", "--report", "-", pin]
    told = subprocess.run(asked, capture_output=True, text=True, check=True, timeout=600)
    if "+cpu" in json.loads(told.stdout)["install"][0]["metadata"]["version"]:
        subprocess.run([*pip, "download", "--no-deps", "--dest", folder, pin], check=True, timeout=600)
    return folder


def build(context: Path, tag: str = TAG) -> None:
    # The engine of these tests has no network of its own to give.
    docker("build", "--network", "host", "--build-arg", f"COMMIT={COMMIT}", "--tag", tag, context, timeout=1200)


def results_folder(path: Path) -> Path:
    """`path`, made and given to the containers' user."""
    path.mkdir()
    if os.geteuid() == 0:
        os.chown(path, USER, USER)
    return path


def started(*options: str | Path, arguments: tuple[str, ...]) -> str:
    """A container of the image that runs in the background; its name."""
    return docker("run", "--detach", *options, TAG, *arguments).stdout.strip()


def record_in(results: Path) -> dict[str, Any]:
    """The record of the only run in `results`."""
    (path,) = results.glob("runs/*/record.json")
    loaded: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return loaded
