"""Prompts of a text-to-image model for every class, in label order: from a template, or from the user's file.

The order is that of the labels because every prompt is made for, or found by, its class; the third place's published
list for CIFAR-100 stood in another order, which put 99 of 100 classes under a wrong label.
"""

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from evaluation.base.challenge import Challenge
from evaluation.base.files import read_text
from submission.classes.readable_names import readable_names, with_article

# the prompts of each class, at least one, in label order
Prompts = tuple[tuple[str, ...], ...]

DEFAULT_TEMPLATE = "a photo of {a_name}"
_PLACEHOLDERS = ("{name}", "{a_name}")


def template_prompts(challenge: Challenge, template: str = DEFAULT_TEMPLATE) -> Prompts:
    """One prompt per class; in `template` `{name}` is the class (`aquarium fish`), `{a_name}` adds its article."""
    return tuple(
        (template.replace("{name}", name).replace("{a_name}", with_article(name)),)
        for name in readable_names(challenge)
    )


def check_template(template: str) -> str:
    """`template` itself. Raises ValueError where it would be the same for all classes, or has another placeholder."""
    unknown = [found for found in re.findall(r"\{[^}]*\}", template) if found not in _PLACEHOLDERS]
    if unknown or not any(placeholder in template for placeholder in _PLACEHOLDERS):
        what = f"has {unknown[0]}" if unknown else "names no class"
        raise ValueError(
            f"the template {template!r} {what}; {{name}} stands for a class, {{a_name}} for it with a or an"
        )
    return template


def read_prompts(path: Path, challenge: Challenge) -> Prompts:
    """The user's own prompts, from a file as `parse_prompts` takes it. Raises ValueError for one that does not fit."""
    return parse_prompts(read_text(path), challenge)


def parse_prompts(text: str, challenge: Challenge) -> Prompts:
    """Prompts for every class of `challenge`.

    Args:
        text: a JSON object `{"apple": "an apple", "bear": ["a bear", "a cub"], ...}` by class name or WordNet id; or a
            line for each class in label order, `|` between several prompts of a class.

    Raises ValueError if classes are missing, unknown or in another order than the labels.
    """
    if text.lstrip().startswith("{"):
        return _by_name(_json_object(text), challenge)
    lines = [line.strip() for line in text.split("\n") if line.strip()]
    if len(lines) != challenge.classes:
        raise ValueError(
            f"the prompts have {len(lines)} lines and {challenge.title} has {challenge.classes} classes; write a line"
            " for each class in label order, or a JSON object by class name"
        )
    prompts = tuple(_several(line.split("|"), challenge.class_names[label]) for label, line in enumerate(lines))
    _check_order(prompts, challenge)
    return prompts


def prompts_setting(prompts: Prompts, challenge: Challenge) -> str:
    """The generator setting `prompts`: the prompts themselves as JSON by class name, so that the record holds them."""
    by_name = {name: list(several) for name, several in zip(challenge.class_names, prompts, strict=True)}
    return json.dumps(by_name, ensure_ascii=False)


def check_prompts_setting(text: str) -> str:
    """`text` itself. Raises ValueError where it is no JSON object."""
    _json_object(text)
    return text


def _json_object(text: str) -> dict[str, Any]:
    try:
        content = json.loads(text)
    except ValueError:
        content = None
    if not isinstance(content, dict):
        raise ValueError(
            "the prompts are no JSON object of prompts by class name; give a file of them with --prompts FILE"
        )
    return content


def _by_name(content: Mapping[str, Any], challenge: Challenge) -> Prompts:
    label_of = {wnid: label for label, wnid in enumerate(challenge.wnids)}
    label_of |= {name.replace("_", " "): label for label, name in enumerate(challenge.class_names)}
    found: dict[int, tuple[str, ...]] = {}
    for key, value in content.items():
        label = label_of.get(key.lower().replace("_", " "))
        if label is None:
            raise ValueError(f"the prompts name {key!r}, which is no class of {challenge.title}")
        if label in found:
            raise ValueError(f"the prompts name the class {challenge.class_names[label]!r} twice")
        found[label] = _several(value if isinstance(value, list) else [value], key)
    if missing := [name for label, name in enumerate(challenge.class_names) if label not in found]:
        raise ValueError(f"the prompts lack {len(missing)} of {challenge.classes} classes, {missing[0]!r} among them")
    return tuple(found[label] for label in range(challenge.classes))


def _several(values: Sequence[Any], of: str) -> tuple[str, ...]:
    texts = tuple(value.strip() for value in values if isinstance(value, str) and value.strip())
    if not texts or len(texts) < len(values):
        raise ValueError(f"the prompts of {of!r} are empty or no text; give one text or several")
    return texts


def _check_order(prompts: Prompts, challenge: Challenge) -> None:
    """Raises ValueError where more lines name another class than name their own: they are in another order."""
    names = [
        {f" {name} " for name in (listed.replace("_", " "), readable.lower())}
        for listed, readable in zip(challenge.class_names, readable_names(challenge), strict=True)
    ]
    own, others = 0, []
    for label, several in enumerate(prompts):
        line = f" {re.sub(r'[^a-z0-9]+', ' ', ' '.join(several).lower())} "
        if any(name in line for name in names[label]):
            own += 1
        elif named := [other for other, forms in enumerate(names) if any(name in line for name in forms)]:
            others.append((label, named[0]))
    if len(others) > own:
        label, other = others[0]
        raise ValueError(
            f"line {label + 1} of the prompts names {challenge.class_names[other]!r}, but label {label} of"
            f" {challenge.title} is {challenge.class_names[label]!r}; put the lines in label order, or write a JSON"
            " object by class name"
        )
