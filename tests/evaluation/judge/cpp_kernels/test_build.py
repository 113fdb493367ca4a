"""Compiling where something is missing, and libraries beside each other."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from evaluation.judge.cpp_kernels.build import build_library


@pytest.fixture(autouse=True)
def compiled_anew() -> Iterator[None]:
    build_library.cache_clear()
    yield
    build_library.cache_clear()


def test_two_libraries_are_two() -> None:
    norm, why_none = build_library("norm_relu_pool")
    winograd, _ = build_library("winograd")
    if norm is None or winograd is None:
        pytest.skip(why_none)
    assert hasattr(norm, "norm_relu_pool_float32") and not hasattr(norm, "winograd_convolve")
    assert hasattr(winograd, "winograd_convolve") and not hasattr(winograd, "norm_relu_pool_float32")


def test_a_compiler_that_cannot_be_started_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXX", "/nowhere/c++")
    assert build_library("winograd") == (None, "the C++ compiler /nowhere/c++ does not work (FileNotFoundError)")


def test_a_compiler_that_fails_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXX", "false")
    assert build_library("winograd") == (None, "the C++ compiler false does not work (CalledProcessError)")


def test_it_loads_where_temporary_files_may_not_be_executed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if os.geteuid() != 0 or subprocess.run(["mount", "-t", "tmpfs", "-o", "noexec", "none", tmp_path]).returncode:
        pytest.skip("only root can mount a folder without exec")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    try:
        library, why_none = build_library("norm_relu_pool")
        assert library is not None or "cannot be loaded" not in why_none
        assert list(tmp_path.iterdir()) == []
    finally:
        subprocess.run(["umount", tmp_path], check=True)


def test_without_a_temporary_folder_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    if build_library("norm_relu_pool")[0] is None:
        pytest.skip("there is no C++ compiler here")
    build_library.cache_clear()
    monkeypatch.setattr(tempfile, "tempdir", "/nowhere")
    told = "there is no temporary folder to compile in (No such file or directory)"
    assert build_library("norm_relu_pool") == (None, told)
