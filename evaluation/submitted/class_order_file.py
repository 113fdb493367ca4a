"""Orders of the classes: the mistaken ones that have a name, and files that put a submission in the right one.

An order is int64 (classes,): `order[i]` is the label that belongs to the images stored under label i.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from evaluation.base.challenge import Challenge, superclasses
from evaluation.base.files import read_lines, write_text
from evaluation.formats.class_folders import label_of_folder
from evaluation.submitted.folder import FolderContents

_CLASSES = Path(__file__).parents[1] / "base" / "classes"

Order = NDArray[np.int64]


def named_orders(challenge: Challenge) -> dict[str, Order]:
    """Orders that people have used by mistake, by a name to tell them."""
    count = challenge.classes
    right = np.arange(count)
    orders = {
        "shifted by one, as if labels counted from 1": (right - 1) % count,
        "shifted by one the other way": (right + 1) % count,
        "reversed": right[::-1].copy(),
        "sorted as text (0, 1, 10, 11, ...)": np.array(sorted(right, key=str)),
    }
    if groups := superclasses(challenge):
        orders["in superclass order"] = np.array([label for labels in groups.values() for label in labels])
    if challenge.name == "tiny-imagenet":
        wnids = (_CLASSES / "tiny-imagenet-published-order.txt").read_text(encoding="utf-8").split()
        orders["in the order of wnids.txt"] = np.array([challenge.wnids.index(wnid) for wnid in wnids])
        by_name = sorted(right, key=lambda label: challenge.class_names[label])
        orders["sorted by class name"] = np.array(by_name)
    turned = {name: order for name, order in orders.items() if "shift" not in name}
    inverses = {f"{name}, the wrong way round": np.argsort(order) for name, order in turned.items()}
    distinct: dict[str, Order] = {}
    for name, order in (orders | inverses).items():
        if not any(np.array_equal(order, other) for other in (right, *distinct.values())):
            distinct[name] = order
    return distinct


def reorder(contents: FolderContents, order: Order) -> FolderContents:
    """The same images under the labels that `order` gives them, class by class again."""
    labels = order[contents.images.labels]
    by_label = np.argsort(labels, kind="stable")
    return replace(
        contents,
        images=replace(contents.images.take(by_label), labels=labels[by_label]),
        paths=tuple(contents.paths[position] for position in by_label),
        warnings=(*contents.warnings, "the labels were reordered, as asked"),
    )


def write_order(path: Path, order: Order, challenge: Challenge) -> None:
    """Write a file for `--class-order`: line i names the class of the images stored under label i."""
    write_text(path, "".join(f"{challenge.folder_name(int(label))}\n" for label in order))


def read_order(path: Path, challenge: Challenge) -> Order:
    """Read a `--class-order` file: one class a line, by index, name, WordNet id or `007-name`.

    Raises ValueError unless each class is named exactly once.
    """
    lines = read_lines(path)
    if len(lines) != challenge.classes:
        raise ValueError(f"{path} has {len(lines)} lines; a class order names the {challenge.classes} classes once")
    labels = []
    for number, line in enumerate(lines, 1):
        try:
            labels.append(label_of_folder(line, challenge))
        except ValueError as error:
            raise ValueError(f"{path}, line {number}: {str(error).replace('folder ', '', 1)}") from None
    twice = [label for label in range(challenge.classes) if labels.count(label) > 1]
    if twice:
        raise ValueError(f"{path} names {challenge.folder_name(twice[0])} more than once; each class has one line")
    return np.array(labels, np.int64)
