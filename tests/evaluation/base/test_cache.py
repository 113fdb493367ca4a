"""The cache, and machines that have no place for one."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from evaluation.base import cache
from evaluation.base.cache import cache_folder, cache_folders

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(autouse=True)
def forgotten(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("MPLCONFIGDIR", "a test's")  # is not set where it is, and not left behind
    cache._for_now.cache_clear()
    yield
    cache._for_now.cache_clear()


@pytest.mark.parametrize(("fonts", "kept"), [("file/fonts", False), ("", False), ("fonts", True)])
def test_without_a_cache_the_list_of_fonts_has_a_place_too(
    fonts: str, kept: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else matplotlib says in several lines that it has none, as in an image whose folders can only be read."""
    (tmp_path / "file").touch()  # below which there can be no folder
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file" / "cache"))
    configured = fonts and str(tmp_path / fonts)
    monkeypatch.setenv("MPLCONFIGDIR", configured)
    folder = cache_folder()
    assert os.environ["MPLCONFIGDIR"] == (configured if kept else str(folder / "matplotlib"))


def test_the_users_cache_is_used_and_not_made_by_looking(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "none" / "yet"))
    assert cache_folder() == tmp_path / "none" / "yet" / "generative-distillation" and cache_folders() == [
        cache_folder()
    ]
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_folder() == tmp_path / ".cache" / "generative-distillation"
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize("base", ["/dev/null", "/dev/null/deeper", "/proc/version"])
def test_a_cache_that_cannot_be_written_is_done_without_and_told_once(
    base: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", base)
    first, second = cache_folder(), cache_folder()
    assert first == second and first.is_dir() and not first.is_relative_to(base)
    (told,) = capfd.readouterr().err.splitlines()
    assert told == (
        f"Note: {base}/generative-distillation cannot be written, so downloads, decoded data and profiles are not kept;"
        " set XDG_CACHE_HOME to a folder that can be written."
    )


def test_a_user_without_a_home_needs_none(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    def nowhere(_path: type[Path]) -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(Path, "home", classmethod(nowhere))
    assert cache_folder().is_dir()
    assert "there is no home folder, so downloads" in capfd.readouterr().err


def test_without_any_writable_folder_nothing_is_kept(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def full(**_named: object) -> str:
        raise FileNotFoundError(2, "No usable temporary directory found")

    monkeypatch.setenv("XDG_CACHE_HOME", "/dev/null")
    monkeypatch.setattr(tempfile, "mkdtemp", full)
    assert cache_folder() == cache_folder() == Path("/dev/null/generative-distillation")
    assert capfd.readouterr().err.count("nor is there a folder for temporary files, so nothing is kept") == 1


def test_a_cache_that_can_only_be_read_is_still_looked_into(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = tmp_path / "generative-distillation"
    kept.mkdir()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    allowed = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: allowed(path, mode) and (path != kept or not mode & os.W_OK))
    assert cache_folders()[1:] == [kept] and cache_folder() != kept


def test_judging_needs_no_home(tmp_path: Path) -> None:
    (tmp_path / "set" / "0").mkdir(parents=True)
    Image.new("RGB", (32, 32)).save(tmp_path / "set" / "0" / "0.png")
    options = ["--dataset", "digits", "--epochs", "1", "--rounds", "1", "--no-audits"]
    kept = {name: value for name, value in os.environ.items() if name != "XDG_CACHE_HOME"}
    done = subprocess.run(
        [sys.executable, "-m", "evaluation", tmp_path / "set", *options],
        cwd=ROOT,
        env=kept | {"HOME": "/dev/null"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("are not kept; set XDG_CACHE_HOME") == 1 and "Accuracy" in done.stdout
