"""Class names as people write them: one thing, words in their usual order, and of one meaning."""

import re

from evaluation.base.challenge import Challenge

# Names that mean several things, or that hardly anybody uses. The WordNet id says which thing is meant.
_BY_WNID = {
    "n01774384": "black widow spider",
    "n01945685": "land slug",
    "n02123045": "tabby cat",
    "n02190166": "fly insect",
    "n02231487": "stick insect",
    "n02236044": "praying mantis",
    "n02279972": "monarch butterfly",
    "n02415577": "bighorn sheep",
    "n02509815": "red panda",
    "n02699494": "church altar",
    "n02814533": "station wagon",
    "n02814860": "lighthouse",
    "n02841315": "pair of binoculars",
    "n02892201": "brass memorial plaque",
    "n02963159": "cardigan sweater",
    "n03014705": "storage chest",
    "n03089624": "candy store",
    "n03100240": "convertible car",
    "n03126707": "construction crane",
    "n03250847": "drumstick for playing drums",
    "n03424325": "gas mask",
    "n03444034": "go-kart",
    "n03447447": "gondola boat",
    "n03584254": "iPod",
    "n03599486": "rickshaw",
    "n03804744": "metal nail",
    "n03854065": "pipe organ",
    "n03970156": "toilet plunger",
    "n03983396": "soda bottle",
    "n03992509": "potter's wheel",
    "n04067472": "fishing reel",
    "n04356056": "pair of sunglasses",
    "n04371430": "pair of swimming trunks",
    "n04399382": "teddy bear",
    "n04417672": "thatched roof",
    "n04456115": "flaming torch",
    "n07579787": "plate of food",
    "n07583066": "bowl of guacamole",
    "n07615774": "popsicle",
    "n07711569": "serving of mashed potato",
    "n07747607": "orange fruit",
    "n07920052": "cup of espresso",
    "n09193705": "alpine mountain",
}

# CIFAR-100 has no WordNet ids; its superclasses say as much (a ray is a fish, a tank a vehicle, a plate holds food).
_CIFAR100 = {
    "beetle": "beetle insect",
    "can": "tin can",
    "cattle": "cow",
    "keyboard": "computer keyboard",
    "mouse": "mouse rodent",
    "orange": "orange fruit",
    "plain": "open plain",
    "plate": "dinner plate",
    "poppy": "poppy flower",
    "ray": "ray fish",
    "rose": "rose flower",
    "seal": "seal animal",
    "tank": "army tank",
}

_CAPITALS = (
    *("african", "american", "arabian", "cd", "chihuahua", "christmas", "egyptian", "european", "german"),
    *("labrador", "persian", "yorkshire"),
)
_SOUNDS_LIKE_YOU_OR_ONE = re.compile(r"eu|one\b|uni(?!n)", re.IGNORECASE)


def readable_names(challenge: Challenge) -> tuple[str, ...]:
    """The name of each class in label order, e.g. `aquarium fish`, `construction crane`, `digit 7`."""
    if challenge.name == "digits":
        return tuple(f"digit {name}" for name in challenge.class_names)
    if challenge.wnids:
        return tuple(
            _BY_WNID.get(wnid, _spelt(name)) for wnid, name in zip(challenge.wnids, challenge.class_names, strict=True)
        )
    return tuple(_CIFAR100.get(name, _spelt(name)) for name in challenge.class_names)


def with_article(name: str) -> str:
    """`a` or `an` before a name, `the` before a digit's."""
    if name.startswith("digit "):
        return f"the {name}"
    starts_with_a_vowel = name[0].lower() in "aeiou" and not _SOUNDS_LIKE_YOU_OR_ONE.match(name)
    return f"{'an' if starts_with_a_vowel or name.startswith('hour') else 'a'} {name}"


def _spelt(name: str) -> str:
    words = name.split("_")
    return " ".join(
        (word.upper() if word == "cd" else word.capitalize()) if word in _CAPITALS else word for word in words
    )
