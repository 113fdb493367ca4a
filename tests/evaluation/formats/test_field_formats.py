"""Files as other codes of the field save them: hard labels are read, and what is left out is said."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from evaluation.base.challenge import get_challenge
from evaluation.submitted.reading import read_images

CIFAR = get_challenge("cifar100")
IMAGES = torch.randn(200, 3, 32, 32, generator=torch.Generator().manual_seed(0))
LABELS = torch.randperm(200, generator=torch.Generator().manual_seed(1)) % 100
SOFT = torch.nn.functional.one_hot(LABELS, 100).float() * 5 + torch.rand(200, 100)


def condensed(folder: Path) -> Path:
    """DC, DSA, DM: two experiments, with accuracies as NumPy numbers beside them."""
    accuracies = {"ConvNet": [np.float64(0.25), 0.5, np.float32(0.75)]}
    torch.save({"data": [[IMAGES, LABELS], [-IMAGES, LABELS]], "accs_all_exps": accuracies}, folder / "res_DM.pt")
    return folder / "res_DM.pt"


def one_experiment(folder: Path) -> Path:
    """DataDAM."""
    torch.save({"data": [[IMAGES, LABELS]]}, folder / "res_DataDAM.pt")
    return folder / "res_DataDAM.pt"


def trajectories(folder: Path) -> Path:
    """MTT: hard labels in a file of their own."""
    torch.save(IMAGES, folder / "images_best.pt")
    torch.save(LABELS, folder / "labels_best.pt")
    return folder / "images_best.pt"


def soft(folder: Path) -> Path:
    """DATM: soft labels and a learned rate."""
    torch.save(IMAGES, folder / "images_best.pt")
    torch.save(SOFT, folder / "labels_best.pt")
    torch.save(torch.tensor(0.01), folder / "lr_best.pt")
    return folder / "images_best.pt"


def pair(folder: Path) -> Path:
    """IDC."""
    torch.save([IMAGES, LABELS], folder / "data_best.pt")
    return folder / "data_best.pt"


@pytest.mark.parametrize(
    ("save", "told"),
    [
        (condensed, ["2 experiments, of which the first is read"]),
        (one_experiment, []),
        (trajectories, []),
        (soft, ["labels are soft", "learning rate in lr_best.pt was learned"]),
        (pair, ["as IDC saves it"]),
    ],
)
def test_images_and_hard_labels_are_read(tmp_path: Path, save: Callable[[Path], Path], told: list[str]) -> None:
    contents = read_images(save(tmp_path), CIFAR)
    np.testing.assert_array_equal(contents.images.images, IMAGES.numpy())
    np.testing.assert_array_equal(contents.images.labels, LABELS.numpy())
    assert len(contents.warnings) == len(told)
    assert all(part in sentence for part, sentence in zip(told, contents.warnings, strict=True))


@pytest.mark.parametrize(
    "content", [{"data": []}, {"data": [[IMAGES]]}, {"data": [[IMAGES, "text"]]}, [IMAGES, IMAGES, LABELS], {}]
)
def test_what_only_resembles_them_is_refused(tmp_path: Path, content: Any) -> None:
    torch.save(content, tmp_path / "x.pt")
    with pytest.raises(ValueError, match=r"x\.pt"):
        read_images(tmp_path / "x.pt", CIFAR)


def test_damaged_labels_beside_the_images_are_refused(tmp_path: Path) -> None:
    file = trajectories(tmp_path)
    (tmp_path / "labels_best.pt").write_bytes(b"no tensor")
    with pytest.raises(ValueError, match=r"labels_best\.pt"):
        read_images(file, CIFAR)


def test_a_numpy_number_runs_no_code(tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> tuple[Any, ...]:
            return np.float64(0).__reduce__()[0], (np.dtype("O"), b"cos\nsystem\n(S'touch " + str(tmp_path).encode())

    torch.save({"data": [[IMAGES, LABELS]], "accs_all_exps": Evil()}, tmp_path / "evil.pt")
    with pytest.raises(ValueError, match=r"evil\.pt"):
        read_images(tmp_path / "evil.pt", CIFAR)
