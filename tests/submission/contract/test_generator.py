"""The registry: plugins that are broken or whose name is taken."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.forked import run_forked

PLUGINS = {
    "fails": ("raise RuntimeError('no card')\n", "fails:Maker", "cannot be loaded: RuntimeError: no card; mend or"),
    "missing": ("import nowhere_at_all\n", "missing:Maker", "cannot be loaded: ModuleNotFoundError: No module"),
    "lacks": ("", "lacks:Maker", "cannot be loaded: AttributeError"),
    "exits": ("raise SystemExit(3)\n", "exits:Maker", "cannot be loaded: SystemExit"),
    "number": ("Maker = 3\n", "number:Maker", "is 3, not a class made from"),
    "silent": (
        "from submission.contract.generator import Generator\nclass Maker(Generator):\n    pass\n",
        "silent:Maker",
        "does not say what it is",
    ),
}


def install(folder: Path, package: str, code: str, entries: dict[str, str]) -> None:
    """A package as pip would leave it, in a folder that can be put on PYTHONPATH."""
    (folder / f"{package}.py").write_text(code, encoding="utf-8")
    info = folder / f"{package}-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1\n", encoding="utf-8")
    lines = "".join(f"{name} = {value}\n" for name, value in entries.items())
    (info / "entry_points.txt").write_text(f"[submission.generators]\n{lines}", encoding="utf-8")


def harness(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return run_forked("harness", arguments, folder=folder, environment=os.environ, timeout=120)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("plugins")
    for name, (code, value, _) in PLUGINS.items():
        install(made, name, code, {name: value})
    install(made, "thief", "", {"native": "thief:Maker", "silent": "thief:Maker"})
    return made


def test_broken_plugins_break_nothing_else_and_taken_names_are_told(folder: Path) -> None:
    listed = harness(folder, "generators")
    assert listed.returncode == 0, listed.stderr
    assert all(name in listed.stdout for name in (*PLUGINS, "distilled"))
    told = " ".join(listed.stdout.split())
    assert "package thief (thief:Maker) has a generator 'native' too, which is not used: rename it" in told
    assert "package thief (thief:Maker) has a generator 'silent' too" in told


@pytest.mark.parametrize("name", PLUGINS)
def test_a_broken_plugin_is_one_sentence(folder: Path, name: str) -> None:
    asked = harness(folder, "--dataset", "digits", "--generator", name)
    assert asked.returncode == 2
    assert PLUGINS[name][2] in " ".join(asked.stderr.split()), asked.stderr
    assert "Traceback" not in asked.stderr
