from __future__ import annotations

import json
import os
import shlex
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluation.base.challenge import get_challenge
from harness.clock.launch import Launch, Terms, check_program, command_line, environment, write_classes

TERMS = Terms(
    output=Path("/runs/a b/images"), dataset="cifar100", budget_s=600.0, seed=7, classes=Path("/runs/a b/classes.json")
)


def test_placeholders_are_filled_in_and_stay_one_argument() -> None:
    template = "python gen.py --out={output} '{dataset} {budget}s' --seed {seed} {classes}"
    assert command_line(template, TERMS) == [
        "python",
        "gen.py",
        "--out=/runs/a b/images",
        "cifar100 600s",
        "--seed",
        "7",
        "/runs/a b/classes.json",
    ]


@pytest.mark.parametrize(("budget_s", "text"), [(600.0, "600"), (0.5, "0.5"), (1e7, "10000000"), (90, "90")])
def test_the_budget_is_a_plain_number(budget_s: float, text: str) -> None:
    terms = Terms(Path("o"), "digits", budget_s, 0, Path("c"))
    assert command_line("run {budget}", terms) == ["run", text]


@given(st.lists(st.text(st.characters(exclude_characters="{}", exclude_categories=["Cs"])), min_size=1))
def test_words_without_placeholders_pass_as_they_are(words: list[str]) -> None:
    assert command_line(shlex.join(words), TERMS) == words


def test_braces_that_are_no_placeholder_pass_as_they_are() -> None:
    assert command_line("""gen --options '{"steps": {"n": 1}}' {} {1}""", TERMS)[2:] == [
        '{"steps": {"n": 1}}',
        "{}",
        "{1}",
    ]


def test_no_shell_reads_the_command() -> None:
    assert command_line("gen $HOME | tee > out; `ls`", TERMS) == ["gen", "$HOME", "|", "tee", ">", "out;", "`ls`"]


@pytest.mark.parametrize(
    ("template", "sentence"),
    [
        ("", "empty"),
        ("   ", "empty"),
        ("gen {data}", r"\{data\} in '\{data\}' is not a placeholder; there are \{output\}"),
        ("gen 'open", "cannot be split"),
    ],
)
def test_a_command_that_makes_no_sense_is_one_sentence(template: str, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        command_line(template, TERMS)


def launch(program: str, cwd: Path) -> Launch:
    return Launch([program], {"PATH": os.environ["PATH"]}, cwd)


def test_a_program_is_found_along_path_or_from_its_folder(tmp_path: Path) -> None:
    (tmp_path / "gen").write_text("#!/bin/sh\n")
    (tmp_path / "gen").chmod(0o755)
    check_program(launch("sh", tmp_path))
    check_program(launch("./gen", tmp_path))
    check_program(launch(str(tmp_path / "gen"), Path("/")))
    check_program(Launch(["gen"], {"PATH": str(tmp_path)}, Path("/")))


@pytest.mark.parametrize("program", ["no-such-program", "gen", "./missing", "./text", "./folder"])
def test_a_program_that_is_not_there_is_one_sentence(tmp_path: Path, program: str) -> None:
    (tmp_path / "text").write_text("no program")
    (tmp_path / "folder").mkdir()
    with pytest.raises(ValueError, match="no program"):
        check_program(launch(program, tmp_path))


def test_the_environment_tells_the_terms_and_hides_the_data(tmp_path: Path) -> None:
    data = tmp_path / "real data"
    data.mkdir()
    (tmp_path / "link").symlink_to(data)
    base = {
        "HOME": "/home/me",
        "PATH": f"/bin:{data}/bin",
        "LANG": "C.UTF-8",
        "CUDA_VISIBLE_DEVICES": "1",
        "SUBMISSION_DATA": "/elsewhere",
        "SUBMISSION_SEED": "of an outer run",
        "PWD": str(data),
        "CIFAR": f"{data}/cifar-100-python",
        "SEARCH": f"/a:{data}:/b",
        "LINKED": f"{tmp_path}/link/x",
        "NEIGHBOUR": f"{data}-old",
        "INSIDE": f"/mnt{data}",
    }
    got = environment(base, TERMS, 1234.5678, tmp_path / "link")
    assert got == {
        "HOME": "/home/me",
        "PATH": f"/bin:{data}/bin",
        "LANG": "C.UTF-8",
        "CUDA_VISIBLE_DEVICES": "1",
        "CUDA_DEVICE_ORDER": "PCI_BUS_ID",
        "NEIGHBOUR": f"{data}-old",
        "INSIDE": f"/mnt{data}",
        "SUBMISSION_OUTPUT": "/runs/a b/images",
        "SUBMISSION_DATASET": "cifar100",
        "SUBMISSION_BUDGET_SECONDS": "600",
        "SUBMISSION_DEADLINE_MONOTONIC": "1234.5678",
        "SUBMISSION_SEED": "7",
        "SUBMISSION_CLASSES": "/runs/a b/classes.json",
    }


def test_without_a_data_folder_only_our_variables_go() -> None:
    base = {"SUBMISSION_DATA": "/data", "X": "/data", "CUDA_DEVICE_ORDER": "FASTEST_FIRST"}
    got = environment(base, TERMS, 1.0, None)
    assert got["X"] == "/data" and got["CUDA_DEVICE_ORDER"] == "FASTEST_FIRST"
    assert "SUBMISSION_DATA" not in got


def test_classes_are_a_json_list_in_label_order(tmp_path: Path) -> None:
    write_classes(get_challenge("cifar100"), tmp_path / "classes.json")
    names = json.loads((tmp_path / "classes.json").read_text())
    assert (len(names), names[0], names[99]) == (100, "apple", "worm")
