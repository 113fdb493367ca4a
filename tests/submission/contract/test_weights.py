"""The weights file: what goes in comes out, and every misfit is one sentence."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file

from evaluation.base.challenge import get_challenge
from submission.contract.weights import SHIPPED, WeightsHeader, find_weights_file, load_weights, save_weights

DIGITS = get_challenge("digits")
HEADER = WeightsHeader(
    generator="native",
    challenge="digits",
    class_names=DIGITS.class_names,
    data="three numbers",
    licence="Apache-2.0",
    seed=3,
    model={"network": {"widths": [1, 2]}, "steps": 8},
)
TENSORS = {"a": torch.tensor([0.5, -1.25, 3.0]), "b": torch.arange(4)}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "native-digits.safetensors"
    save_weights(path, TENSORS, HEADER)
    return path


def test_round_trip(file: Path) -> None:
    tensors, header = load_weights(file, "native", DIGITS)
    assert header == HEADER
    assert tensors["a"].dtype == torch.float32
    assert torch.equal(tensors["a"], TENSORS["a"])
    assert torch.equal(tensors["b"], TENSORS["b"])


JSON = st.recursive(st.none() | st.booleans() | st.integers() | st.text(max_size=5), lambda v: st.lists(v, max_size=3))


@settings(deadline=None, max_examples=20)
@given(model=st.dictionaries(st.text(max_size=8), JSON, max_size=4), data=st.text(max_size=30))
def test_any_header_survives(tmp_path_factory: pytest.TempPathFactory, model: dict[str, object], data: str) -> None:
    path = tmp_path_factory.mktemp("weights") / "any.safetensors"
    header = replace(HEADER, model=model, data=data)
    save_weights(path, TENSORS, header)
    assert load_weights(path, "native", DIGITS)[1] == header


def test_another_user_can_read_it(file: Path) -> None:
    assert file.stat().st_mode & 0o044 == 0o044


def test_every_truncation_is_told(file: Path) -> None:
    whole = file.read_bytes()
    for length in (0, 4, 8, 100, len(whole) - 1):
        file.write_bytes(whole[:length])
        with pytest.raises(ValueError, match="damaged or no safetensors file"):
            load_weights(file, "native", DIGITS)


def test_other_weights_are_refused(file: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="holds weights of generator 'native', not of 'gaussian'"):
        load_weights(file, "gaussian", DIGITS)
    with pytest.raises(ValueError, match="trained for the 10 classes of 'digits', but 'cifar100' has 100"):
        load_weights(file, "native", get_challenge("cifar100"))
    with pytest.raises(ValueError, match="there are no weights at"):
        load_weights(tmp_path / "none", "native", DIGITS)
    other = tmp_path / "other.safetensors"
    save_weights(other, TENSORS, replace(HEADER, class_names=(*DIGITS.class_names[:9], "ten")))
    with pytest.raises(ValueError, match="label 9 is 'ten' there and '9' here"):
        load_weights(other, "native", DIGITS)


def test_files_of_other_programs_and_times_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.safetensors"
    save_file(TENSORS, path)
    with pytest.raises(ValueError, match="of another program"):
        load_weights(path, "native", DIGITS)
    save_file(TENSORS, path, {"generative-distillation": json.dumps({"format": 99})})
    with pytest.raises(ValueError, match="format 99"):
        load_weights(path, "native", DIGITS)
    for damaged in ("{", "[]", "{}", json.dumps({"format": 1})):
        save_file(TENSORS, path, {"generative-distillation": damaged})
        with pytest.raises(ValueError, match="damaged header"):
            load_weights(path, "native", DIGITS)


def test_numbers_too_large_for_half_precision_are_not_written(tmp_path: Path) -> None:
    path = tmp_path / "large.safetensors"
    with pytest.raises(ValueError, match="does not fit in 16 bits"):
        save_weights(path, {"a": torch.tensor([1e6])}, HEADER)
    assert list(tmp_path.iterdir()) == []


def test_weights_are_found_shipped_in_a_file_and_in_a_folder(file: Path) -> None:
    assert find_weights_file("native", DIGITS, None) == SHIPPED / "native-digits.safetensors"
    assert find_weights_file("native", DIGITS, str(file)) == file
    assert find_weights_file("native", DIGITS, str(file.parent)) == file


def test_missing_weights_come_with_the_command_that_trains_them(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"python -m submission\.training absent --dataset digits --out weights"):
        find_weights_file("absent", DIGITS, None)
    with pytest.raises(ValueError, match=r"that holds native-digits\.safetensors"):
        find_weights_file("native", DIGITS, str(tmp_path))
