"""Which label a class folder stands for: by index, by class name, by WordNet id, or `007-name`."""

import re

from evaluation.base.challenge import Challenge, folder_safe
from evaluation.base.untrusted import printable

_INDEX_AND_REST = re.compile(r"([0-9]{1,9})[-_](.+)", re.ASCII | re.DOTALL)


def readings(name: str, challenge: Challenge) -> dict[str, int | None]:
    """Every way to read a folder's name: the reading in words -> its label, None where it names no class."""
    found: dict[str, int | None] = {}
    if name.isascii() and name.isdigit() and len(name) < 10:
        found[f"label index {int(name)}"] = int(name) if int(name) < challenge.classes else None
    found |= _named(name, challenge)
    parts = _INDEX_AND_REST.fullmatch(name)
    if parts and not any(label is not None for label in found.values()):
        index, rest = int(parts[1]), parts[2]
        found[f"label index {index}"] = index if index < challenge.classes else None
        found |= _named(rest, challenge) or {f"class name '{printable(rest, 60)}'": None}
    return found


def _named(name: str, challenge: Challenge) -> dict[str, int | None]:
    found: dict[str, int | None] = {}
    if name.lower() in challenge.wnids:
        found[f"WordNet id {name.lower()}"] = challenge.wnids.index(name.lower())
    safe = folder_safe(name)
    for label, class_name in enumerate(challenge.class_names):
        if safe and safe == folder_safe(class_name):
            found[f"class name {class_name!r}"] = label
    return found


def label_of_folder(name: str, challenge: Challenge) -> int:
    """The label of a class folder. Raises ValueError where its name means no class, or different ones."""
    found = readings(name, challenge)
    labels = set(found.values())
    if len(labels) == 1 and (label := labels.pop()) is not None:
        return label
    shown = printable(name, 80)
    if len(found) > 1:
        classes = {how: "no class" if i is None else f"class {challenge.folder_name(i)}" for how, i in found.items()}
        told = " but ".join(f"{how} is {meant}" for how, meant in classes.items())
        raise ValueError(f"folder '{shown}' can be read in two ways: {told}; rename it so that only one class is meant")
    raise ValueError(f"folder '{shown}' names no class of {challenge.title}; {accepted(challenge)}")


def accepted(challenge: Challenge) -> str:
    """The names a class folder may have, as half a sentence."""
    last, name = challenge.classes - 1, folder_safe(challenge.class_names[-1])
    wnid = f", {challenge.wnids[-1]} (WordNet id)" if challenge.wnids else ""
    return (
        f"class folders are called 0 to {last} (label index), {name} (class name){wnid} or"
        f" {challenge.folder_name(last)} (both)"
    )
