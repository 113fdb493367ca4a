"""Class orders: the named ones are what they claim, files round-trip, mistakes in them are told."""

from __future__ import annotations

import pickle
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluation.base.challenge import challenges, superclasses
from evaluation.base.images import ImageSet
from evaluation.data import cifar100
from evaluation.submitted.class_order_file import named_orders, read_order, reorder, write_order
from evaluation.submitted.folder import FolderContents
from tests.evaluation.audits.audit_cases import CIFAR, DIGITS, TINY
from tests.real_data import real_data


def test_named_orders_are_distinct_permutations() -> None:
    for challenge in challenges().values():
        orders = [tuple(order) for order in named_orders(challenge).values()]
        assert len(set(orders)) == len(orders) >= 3
        assert all(sorted(order) == list(range(challenge.classes)) for order in orders)
        assert tuple(range(challenge.classes)) not in orders


def test_superclass_order_is_that_of_the_official_data() -> None:
    """One class alone, snake, is in its right place, so a set in this order scores chance."""
    folder = real_data("cifar-100-python") / "cifar-100-python"
    train = cifar100.unpickle(folder / "test", "test")
    fine, coarse = np.array(train[b"fine_labels"]), np.array(train[b"coarse_labels"])
    names = pickle.loads((folder / "meta").read_bytes(), encoding="bytes")[b"coarse_label_names"]
    official = {name.decode(): tuple(np.unique(fine[coarse == group]).tolist()) for group, name in enumerate(names)}
    assert superclasses(CIFAR) == official
    expected = [label for labels in official.values() for label in labels]
    order = named_orders(CIFAR)["in superclass order"]
    assert order.tolist() == expected
    assert [CIFAR.class_names[label] for label in np.flatnonzero(order == np.arange(100))] == ["snake"]


def test_published_order_is_that_of_the_official_data() -> None:
    published = (real_data("tiny-imagenet-200") / "tiny-imagenet-200" / "wnids.txt").read_text().split()
    order = named_orders(TINY)["in the order of wnids.txt"]
    assert [TINY.wnids[label] for label in order] == published


@given(st.permutations(range(10)))
def test_order_files_round_trip(order: list[int]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "order.txt")
        write_order(file, np.array(order), DIGITS)
        assert read_order(file, DIGITS).tolist() == order


def test_order_files_take_any_class_name(tmp_path: Path) -> None:
    file = tmp_path / "order.txt"
    file.write_text("\n".join(CIFAR.class_names[::-1]))
    assert read_order(file, CIFAR).tolist() == list(range(99, -1, -1))
    file.write_text("\n".join(TINY.wnids) + "\n")
    assert read_order(file, TINY).tolist() == list(range(200))


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("", "has 0 lines; a class order names the 10 classes"),
        ("1\n2\n", "has 2 lines; a class order names the 10 classes"),
        ("\n".join("0123456788"), "names 008-8 more than once"),
        ("\n".join("012345678x"), "line 10: 'x' names no class of Digits"),
        ("\n".join("01234567") + "\n008-9\n9", "line 9: '008-9' can be read in two ways"),
        ("\udcff", "is no text in UTF-8"),
    ],
)
def test_mistakes_in_order_files_are_told(tmp_path: Path, content: str, sentence: str) -> None:
    file = tmp_path / "order.txt"
    file.write_bytes(content.encode("utf-8", "surrogateescape"))
    with pytest.raises(ValueError, match=sentence):
        read_order(file, DIGITS)
    with pytest.raises(ValueError, match="cannot be read"):
        read_order(tmp_path / "none.txt", DIGITS)


def test_reordering_moves_labels_images_and_paths_together() -> None:
    images = ImageSet(
        np.arange(10, dtype=np.uint8).reshape(-1, 1, 1, 1) * np.ones((1, 3, 2, 2), np.uint8), np.arange(10)
    )
    contents = FolderContents(images, tuple(f"{label}.png" for label in range(10)))
    order = np.roll(np.arange(10), 3)
    moved = reorder(contents, order)
    assert moved.images.labels.tolist() == list(range(10))
    assert [order[int(path[0])] for path in moved.paths] == list(range(10))
    assert [order[image[0, 0, 0]] for image in moved.images.images] == list(range(10))
    assert moved.warnings
