"""A card that is there and not used is said, with what to do about it."""

from __future__ import annotations

import os
import sys
import warnings
from typing import Any

import pynvml
import pytest
import torch

from evaluation.base.card import order_cards, unused_card, why_unused
from evaluation.base.machine import resolve_device


class Driver:
    """NVML of a machine with one card."""

    def __init__(self, version: str | None) -> None:
        self.version = version

    def nvmlInit(self) -> None:  # noqa: N802 - as the library has it
        pass

    nvmlShutdown = nvmlInit

    def nvmlDeviceGetHandleByIndex(self, index: int) -> int:  # noqa: N802
        return index

    def nvmlDeviceGetName(self, handle: int) -> str:  # noqa: N802
        return "NVIDIA GeForce RTX 3090"

    def nvmlSystemGetDriverVersion(self) -> str:  # noqa: N802
        if self.version is None:
            raise pynvml.NVMLError(pynvml.NVML_ERROR_NOT_SUPPORTED)
        return self.version


class NoDriver:
    def nvmlInit(self) -> None:  # noqa: N802
        raise pynvml.NVMLError(pynvml.NVML_ERROR_LIBRARY_NOT_FOUND)


@pytest.mark.parametrize(
    ("build", "driver", "found", "todo"),
    [
        ("13.0", "550.54.14", "driver 550.54.14 is older than 580, which CUDA 13 needs", "PyTorch for CUDA 12"),
        ("12.8", "470.10", "driver 470.10 is older than 525, which CUDA 12 needs", "PyTorch for CUDA 11"),
        ("12.8", "390.1", "older than 525", "PyTorch for CUDA 11, after updating the driver"),
        ("13.0", "580.65.06", "although the driver 580.65.06 is new enough", "CUDA_VISIBLE_DEVICES"),
        ("13.0", None, "driver unknown", "Update the NVIDIA driver"),
        ("99.0", "580.1", "driver 580.1", "Update the NVIDIA driver"),
        (None, "590.1", "for processors only", "Install a build of it for CUDA 13"),
        (None, None, "for processors only", "Install a build of it for CUDA"),
    ],
)
def test_both_versions_and_a_build_that_fits_are_named(
    build: str | None, driver: str | None, found: str, todo: str
) -> None:
    told, advice = why_unused("2.13.0", build, driver)
    assert told.startswith("2.13.0") and (build is None or f"CUDA {build}" in told)
    assert found in told and todo in advice and advice.endswith(".")


def test_a_card_that_pytorch_cannot_use_is_named_with_its_driver() -> None:
    told = unused_card({}, Driver("550.54.14"))
    assert told and "RTX 3090" in told and torch.__version__ in told
    assert unused_card({"CUDA_VISIBLE_DEVICES": "0"}, Driver(None))


@pytest.mark.parametrize("hidden", ["", "-1", " "])
def test_a_hidden_card_and_no_card_are_nothing_to_say(hidden: str) -> None:
    assert unused_card({"CUDA_VISIBLE_DEVICES": hidden}, Driver("550.54.14")) is None
    assert unused_card({}, NoDriver()) is None


@pytest.fixture
def without_cuda(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)


def have(library: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", library)


@pytest.mark.usefixtures("without_cuda")
def test_a_run_on_the_processor_beside_a_card_is_loud(monkeypatch: pytest.MonkeyPatch) -> None:
    have(Driver("550.54.14"), monkeypatch)
    with pytest.warns(UserWarning, match="everything runs on the processor, slowly: there is a card here"):
        assert resolve_device("auto") == "cpu"
    with pytest.raises(ValueError, match=r"there is a card here .*RTX 3090"):
        resolve_device("cuda")


@pytest.mark.usefixtures("without_cuda")
def test_without_a_card_it_is_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    have(NoDriver(), monkeypatch)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert resolve_device("auto") == resolve_device("cpu") == "cpu"
    with pytest.raises(ValueError, match="there is no CUDA device here"):
        resolve_device("cuda")


def test_one_card_of_several_is_chosen_by_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert resolve_device("cuda") == resolve_device("auto") == "cuda"
    with pytest.raises(ValueError, match=r"not 'cuda:1': choose a card with .* CUDA_VISIBLE_DEVICES=1"):
        resolve_device("cuda:1")
    with pytest.raises(ValueError, match="not 'cudas'"):
        resolve_device("cudas")


def test_cards_have_nvmls_order_unless_the_user_asked_for_another(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_DEVICE_ORDER", "FASTEST_FIRST")
    order_cards()
    assert os.environ["CUDA_DEVICE_ORDER"] == "FASTEST_FIRST"
    monkeypatch.delenv("CUDA_DEVICE_ORDER")
    order_cards()
    assert os.environ["CUDA_DEVICE_ORDER"] == "PCI_BUS_ID"
