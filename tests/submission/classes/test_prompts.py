"""Prompts stand in label order, read as people write, and a file that does not fit is told in one sentence."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluation.base.challenge import Challenge, challenges, get_challenge
from evaluation.submitted.class_order_file import named_orders
from submission.classes.prompts import (
    check_template,
    parse_prompts,
    prompts_setting,
    read_prompts,
    template_prompts,
)
from submission.classes.readable_names import readable_names, with_article

CIFAR, TINY, DIGITS = get_challenge("cifar100"), get_challenge("tiny-imagenet"), get_challenge("digits")
each_challenge = pytest.mark.parametrize("challenge", challenges().values(), ids=lambda c: c.name)

# Names that say the class in other words than the data set does.
OTHER_WORDS = {
    *("cow", "stick insect", "red panda", "station wagon", "lighthouse", "candy store", "gas mask", "rickshaw"),
    *("soda bottle", "popsicle", "thatched roof", "alpine mountain"),
}


def words(text: str) -> set[str]:
    return set(text.lower().replace("'", "_").replace("-", " ").replace("_", " ").split())


@each_challenge
def test_every_prompt_stands_at_the_label_of_its_class(challenge: Challenge) -> None:
    """A list in any other order, as the third place's was, would put another class's words there."""
    prompts = template_prompts(challenge, "{name}")
    assert len(prompts) == challenge.classes
    for label, (prompt,) in enumerate(prompts):
        assert prompt in OTHER_WORDS or words(challenge.class_names[label]) <= words(prompt), (label, prompt)
    assert not {prompt for (prompt,) in prompts} & {"crane", "ray", "seal", "tank", "cardigan", "organ", "nail"}


@each_challenge
def test_prompts_read_well(challenge: Challenge) -> None:
    names = readable_names(challenge)
    assert len(set(names)) == len(set(challenge.class_names)) == challenge.classes
    assert all("_" not in name and name.strip() == name for name in names)


def test_a_few_as_they_should_be() -> None:
    def prompt(challenge: Challenge, name: str) -> str:
        return template_prompts(challenge)[challenge.class_names.index(name)][0]

    assert prompt(CIFAR, "aquarium_fish") == "a photo of an aquarium fish"
    assert prompt(CIFAR, "cattle") == "a photo of a cow"
    assert prompt(TINY, "crane") == "a photo of a construction crane"
    assert prompt(TINY, "potter_s_wheel") == "a photo of a potter's wheel"
    assert prompt(TINY, "cd_player") == "a photo of a CD player"
    assert prompt(TINY, "egyptian_cat") == "a photo of an Egyptian cat"
    assert prompt(DIGITS, "7") == "a photo of the digit 7"


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("hourglass", "an hourglass"),
        ("house", "a house"),
        ("umbrella", "an umbrella"),
        ("European fire salamander", "a European fire salamander"),
        ("iPod", "an iPod"),
        ("digit 0", "the digit 0"),
    ],
)
def test_articles(name: str, told: str) -> None:
    assert with_article(name) == told


def test_the_template_can_be_set() -> None:
    assert template_prompts(CIFAR, "{name}, a small blurry photo")[0] == ("apple, a small blurry photo",)
    assert check_template("{a_name}") == "{a_name}"


@pytest.mark.parametrize(
    ("template", "sentence"), [("a photo", "names no class"), ("{name} {colour}", r"has \{colour\}"), ("{}", "has {}")]
)
def test_bad_templates(template: str, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        check_template(template)


@given(order=st.permutations(range(10)), several=st.integers(1, 3))
def test_an_objects_order_does_not_matter(order: list[int], several: int) -> None:
    told = {str(label): [f"{label} no. {i}" for i in range(several)] for label in order}
    prompts = parse_prompts(json.dumps(told), DIGITS)
    assert prompts == tuple(tuple(f"{label} no. {i}" for i in range(several)) for label in range(10))


@each_challenge
def test_prompts_come_back_from_the_setting(challenge: Challenge) -> None:
    prompts = template_prompts(challenge)
    assert parse_prompts(prompts_setting(prompts, challenge), challenge) == prompts


def test_classes_by_wordnet_id_or_name() -> None:
    by_wnid = {wnid: f"number {label}" for label, wnid in enumerate(TINY.wnids)}
    by_name = {name.replace("_", " ").upper(): f"number {label}" for label, name in enumerate(TINY.class_names)}
    expected = tuple((f"number {label}",) for label in range(200))
    assert parse_prompts(json.dumps(by_wnid), TINY) == parse_prompts(json.dumps(by_name), TINY) == expected


def test_lines_in_label_order(tmp_path: Path) -> None:
    (tmp_path / "prompts.txt").write_text("\n".join(f"a {n}|two of {n}" for n in range(10)) + "\n\n")
    assert read_prompts(tmp_path / "prompts.txt", DIGITS)[3] == ("a 3", "two of 3")


@pytest.mark.parametrize("form", ["{name}", "a photo of {a_name}, detailed"])
def test_the_published_order_is_refused(form: str) -> None:
    """The third place's mistake: CIFAR-100's classes listed by superclass."""
    order = named_orders(CIFAR)["in superclass order"]
    lines = [template_prompts(CIFAR, form)[label][0] for label in order]
    assert sum(label == position for position, label in enumerate(order)) == 1  # snake
    with pytest.raises(ValueError, match="line 1 of the prompts names 'beaver', but label 0 of CIFAR-100 is 'apple'"):
        parse_prompts("\n".join(lines), CIFAR)


@each_challenge
def test_any_wrong_order_is_refused_and_the_right_one_taken(challenge: Challenge) -> None:
    lines = [prompt for (prompt,) in template_prompts(challenge)]
    assert parse_prompts("\n".join(lines), challenge) == template_prompts(challenge)
    random.Random(0).shuffle(lines)
    with pytest.raises(ValueError, match="put the lines in label order"):
        parse_prompts("\n".join(lines), challenge)


def test_lines_that_name_no_class_are_the_users_affair() -> None:
    assert len(parse_prompts("\n".join(["something red"] * 100), CIFAR)) == 100


DIGITS_OBJECT = {str(label): f"a {label}" for label in range(10)}


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("one\ntwo\n", "the prompts have 2 lines and Digits has 10 classes"),
        (json.dumps({**DIGITS_OBJECT, "ten": "a ten"}), "'ten', which is no class of Digits"),
        (json.dumps({"7": "seven"}), "lack 9 of 10 classes, '0' among them"),
        (json.dumps({**DIGITS_OBJECT, "7": []}), "the prompts of '7' are empty or no text"),
        (json.dumps({**DIGITS_OBJECT, "7": ["x", 3]}), "the prompts of '7' are empty or no text"),
        ('{"1": "one"', "no JSON object"),
    ],
)
def test_prompts_that_do_not_fit_are_told(text: str, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        parse_prompts(text, DIGITS)


@pytest.mark.parametrize("end", ["\n", "\r\n", "\n\n\n"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
@pytest.mark.parametrize("form", ["json", "lines"])
def test_prompts_of_any_editor_are_read(tmp_path: Path, form: str, mark: str, end: str) -> None:
    lines = [f"the digit\x85{label}" for label in range(10)]
    text = (
        json.dumps({str(label): line for label, line in enumerate(lines)}, indent=0)
        if form == "json"
        else "\n".join(lines)
    )
    (tmp_path / "prompts").write_bytes((mark + text.replace("\n", end) + end).encode())
    assert read_prompts(tmp_path / "prompts", DIGITS) == tuple((line,) for line in lines)


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="cannot be read: No such file"):
        read_prompts(tmp_path / "none.json", DIGITS)
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ValueError, match="is no text in UTF-8; save it as UTF-8"):
        read_prompts(tmp_path / "binary", DIGITS)
