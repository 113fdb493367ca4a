"""What other codes of the field save beside bare tensors: their images with hard labels, and what that leaves out.

- DC, DSA, DM, DataDAM: `{"data": [[images, labels], ...], "accs_all_exps": ...}`, an entry for each experiment.
- MTT and what builds on it (DATM, FTD): `images_best.pt` beside `labels_best.pt`, and `lr_best.pt` in some.
- IDC: `[images, labels]`, the images to be cut into parts and enlarged.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_IMAGES, _LABELS, _RATE = "images", "labels", "lr"


@dataclass(frozen=True)
class Held:
    """What a file holds.

    Attributes:
        images: what should be images; not checked yet.
        labels: integer labels; None where the order says them.
        notes: sentences on what is in the files and not in a judgement by the challenge's protocol.
    """

    images: Any
    labels: Any = None
    notes: tuple[str, ...] = ()


def held_by(content: Any, path: Path, load: Callable[[Path], Any]) -> Held:
    """The images and hard labels of `content`, loaded from `path`.

    Args:
        load: how a file beside it is loaded.

    Raises:
        ValueError: the labels beside it cannot be loaded.
    """
    if isinstance(content, dict) and {_IMAGES, _LABELS} <= content.keys():
        return _labelled(content[_IMAGES], content[_LABELS])
    if isinstance(content, dict) and (pairs := _pairs(content.get("data"))):
        held = _labelled(*pairs[0])
        several = f"it holds {len(pairs)} experiments, of which the first is read" if len(pairs) > 1 else None
        return Held(held.images, held.labels, (*held.notes, *([several] if several else [])))
    if pairs := _pairs([content]):
        held = _labelled(*pairs[0])
        factored = (
            "a pair of images and labels, as IDC saves it: if its images are factored, cut and enlarge them first; they"
            " are judged as they are here"
        )
        return Held(held.images, held.labels, (*held.notes, factored))
    if (beside := labels_beside(path)) is not None:
        held = _labelled(content, load(beside))
        rate = _beside(path, _RATE)
        learned = f"the learning rate in {rate.name} was learned with the images and is not used" if rate else None
        return Held(held.images, held.labels, (*held.notes, *([learned] if learned else [])))
    return Held(content)


def _pairs(entries: Any) -> list[tuple[Any, Any]]:
    """`entries` as pairs of two tensors; empty where they are not."""
    import torch

    pairs = entries if isinstance(entries, list) else []
    fits = [
        isinstance(pair, list | tuple) and len(pair) == 2 and all(isinstance(each, torch.Tensor) for each in pair)
        for pair in pairs
    ]
    return [tuple(pair) for pair in pairs] if fits and all(fits) else []


def _labelled(images: Any, labels: Any) -> Held:
    """Soft labels, float (N, classes), as the likeliest class of each."""
    import torch

    if isinstance(labels, torch.Tensor) and labels.is_floating_point() and labels.ndim == 2:
        soft = "its labels are soft: the likeliest class of each is used, and the method's own accuracy is another"
        return Held(images, labels.argmax(1), (soft,))
    return Held(images, labels)


def labels_beside(path: Path) -> Path | None:
    """The file of labels that belongs to a file of images; None where there is none."""
    return _beside(path, _LABELS)


def _beside(path: Path, what: str) -> Path | None:
    """`labels_best.pt` beside `images_best.pt`, for what = `labels`; None where there is none."""
    if not path.name.startswith(f"{_IMAGES}_"):
        return None
    found = path.with_name(what + path.name.removeprefix(_IMAGES))
    return found if found.is_file() else None
