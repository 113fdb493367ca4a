import json
from pathlib import Path

import pytest

from evaluation.base.challenge import challenges, get_challenge
from evaluation.base.command_line import ExitCode
from harness.commands.checks import (
    Check,
    check_clock,
    check_compiler,
    check_container,
    check_data,
    check_default,
    check_disk,
    check_docker,
    check_generators,
    check_gpu,
    check_memory,
    check_process_limit,
    check_python,
    check_torch,
    is_ready,
)
from harness.commands.doctor import examine, show_checks
from harness.report.console import Voice
from submission.contract.generator import generator_names
from tests.harness.gpu.cards import card
from tests.real_data import real_data

CIFAR = get_challenge("cifar100")
DIGITS = get_challenge("digits")
READY, HALF, BARE = (
    {"name": "a", "ready": ["digits", "cifar100"], "missing": {}},
    {"name": "b", "ready": ["cifar100"], "missing": {"digits": "there are none"}},
    {"name": "c", "ready": [], "missing": {"digits": "there are none", "cifar100": "nor here"}},
)


@pytest.mark.parametrize(
    ("check", "status", "words"),
    [
        (check_python((3, 11)), "ok", "3.11"),
        (check_python((3, 10)), "missing", "too old"),
        (check_clock(True, True), "ok", "control group"),
        (check_clock(True, False), "ok", "process tree"),
        (check_clock(False, False), "missing", "no clock"),
        (check_process_limit(True), "ok", "only so many processes"),
        (check_process_limit(False), "warn", "Nothing here limits how many processes"),
        (check_gpu([], None, "no NVIDIA driver is installed"), "warn", "no NVIDIA driver is installed"),
        (check_gpu([], "550", ""), "warn", "knows of no card"),
        (check_gpu([], None, "no NVIDIA driver is installed", contained=True), "warn", "no NVIDIA driver is installed"),
        (check_gpu([card()], "550", ""), "ok", "RTX 4090 (24 GB); driver 550"),
        (check_gpu([card(memory_gb=None)], None, ""), "ok", "driver unknown"),
        (check_gpu([card(0), card(1)], "550", ""), "warn", "RTX 4090"),
        (check_torch("2", "12.8", True, 1, "550"), "ok", "on the card"),
        (check_torch("2", None, False, 0, None), "ok", "on the processor"),
        (check_torch("2", None, False, 1, "550"), "warn", "processors only"),
        (check_torch("2", "13.0", False, 1, "550.54.14"), "warn", "2 (CUDA 13.0) cannot use it: its driver 550.54.14"),
        (check_disk(0.1, True, "this folder"), "missing", "0.1 GB"),
        (check_disk(3, True, "this folder"), "warn", "3.0 GB"),
        (check_disk(50, True, "this folder"), "ok", "50.0 GB"),
        (check_disk(50, False, "this folder"), "missing", "Nothing can be written"),
        (check_disk(50, False, "this folder", "give --user"), "missing", "Nothing can be written"),
        (check_container(None, 2, 8, []), "ok", "In no container, with 2 cores and 8.0 GB"),
        (check_container("docker", 2, 8, []), "ok", "In a container (docker), with 2 cores"),
        (check_container("podman", 2, 8, ["-v a:/results"]), "warn", "lost with it"),
        (check_memory(0.5), "missing", "0.5 GB"),
        (check_memory(4), "warn", "4.0 GB"),
        (check_memory(16), "ok", "16.0 GB"),
        (check_memory(None), "warn", "does not say"),
        (check_data(CIFAR, {"train": True, "test": True}, "here"), "ok", "at hand"),
        (check_data(CIFAR, {"train": False, "test": True}, "here"), "missing", "No train split of CIFAR-100 in here"),
        (check_data(DIGITS, {"train": False, "test": False}, "here"), "missing", "not there"),
        (check_generators([READY]), "ok", "On every data set: a."),
        (check_generators([READY, HALF]), "ok", "On some: b (cifar100)."),
        (check_generators([READY, BARE]), "warn", "Not yet: c."),
        (check_default([HALF, READY], ("b", "a")), "ok", "the generator a"),
        (check_default([HALF, BARE], ("b", "c")), "missing", "No default generator"),
        (check_compiler("/usr/bin/g++"), "ok", "with g++"),
        (check_compiler(None), "warn", "uncompiled"),
        (check_docker(True, "27.1"), "ok", "27.1"),
        (check_docker(True, None), "warn", "does not answer"),
        (check_docker(False, None), "warn", "not installed"),
    ],
)
def test_every_state_has_plain_words_and_what_to_do(check: Check, status: str, words: str) -> None:
    assert check.status == status and words in check.sentence
    assert check.sentence.endswith(".")
    # a machine that does not tell its memory cannot be helped
    assert bool(check.todo) == (status != "ok") or check == check_memory(None)


def test_only_what_digits_need_decides() -> None:
    assert is_ready([check_data(CIFAR, {"train": False}, "here"), check_docker(False, None)])
    assert not is_ready([check_data(DIGITS, {"train": False}, "here")])


def test_this_machine_runs_digits_and_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    checks = examine(None)
    assert len({check.name for check in checks}) == len(checks)
    assert {f"data: {name}" for name in challenges()} < {check.name for check in checks}
    told = next(check for check in checks if check.name == "generators")
    assert all(name in told.sentence for name in generator_names())
    assert show_checks(checks, Voice(as_json=True)) is ExitCode.DONE
    told = json.loads(capsys.readouterr().out)
    assert told["ready"] is True and len(told["checks"]) == len(checks)
    show_checks(checks, Voice())
    assert "Ready" in capsys.readouterr().out


def test_what_is_missing_is_named_and_the_exit_code_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    assert show_checks([check_python((3, 9)), check_compiler(None)], Voice()) is ExitCode.NOT_READY
    out = capsys.readouterr().out
    assert "Not ready" in out and "missing: python" in out


def test_real_data_is_found_where_it_lies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from evaluation.data.datasets import is_at_hand

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert not is_at_hand(CIFAR, "train", tmp_path)
    assert is_at_hand(CIFAR, "train", real_data("cifar-100-python"))
