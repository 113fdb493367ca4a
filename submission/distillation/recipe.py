"""What is distilled, from what and for how long: the options of the training, and their defaults by challenge."""

from dataclasses import dataclass, field

from submission.training.common.options import check_ranges, option


@dataclass(frozen=True)
class Recipe:
    """What is distilled, from what and for how long.

    Attributes:
        start_images: training images, at least, whose mean a prototype begins at.
        mirrored: whether a mirror image shows the same class.
        views: augmentations of the judge, with parameters of their own, under which each expert at each age sees all
            images too.
        networks: experts, each at all `ages`, the epochs that it has learned, ascending.
        groups: parts of each class whose means are matched beside that of the class; 1 for none.
        group_weight: of the distance of the groups' means, in [0, 1]; that of the classes' means has the rest.
        group_images: training images, at least, in a group.
        steps: of all prototypes with one expert each.
        rate: of Adam, on normalised pixels; it falls to 0 along a cosine.
        label_weight: of the cross-entropy of the expert's labels, where the distance of the means weighs 1.
        label_age: epochs from which an expert's labels count; the head of a younger one says little.
    """

    prototypes: int = field(metadata=option("prototypes per class", at_least=1))
    mirrored: bool
    views: int = field(
        metadata=option("augmented views that each network has of all images, beside the plain one", at_least=0)
    )
    networks: int = field(metadata=option("networks to match, each at all --ages", at_least=1))
    ages: tuple[int, ...] = field(metadata=option("epochs that each network has learned"))
    groups: int = field(metadata=option("parts of each class whose means are matched too", at_least=1))
    steps: int = field(metadata=option("steps in all", at_least=1))
    stored_steps: int = field(metadata=option("of these, the last ones, through the storage", at_least=0))
    stored_bytes: int = field(metadata=option("bytes of a prototype in the weights file, about", at_least=16))
    start_images: int = 8
    group_images: int = 10
    group_weight: float = field(default=0.5, metadata=option("of the groups' means in the loss", at_least=0, at_most=1))
    rate: float = field(default=0.03, metadata=option("highest learning rate", above=0))
    label_weight: float = field(default=0.3, metadata=option("of the experts' labels in the loss", at_least=0))
    label_age: int = field(default=4, metadata=option("epochs from which an expert's labels count", at_least=0))

    def __post_init__(self) -> None:
        check_ranges(self)
        object.__setattr__(self, "ages", tuple(sorted(set(self.ages))))
        if self.ages[0] < 0:
            raise ValueError(f"--ages are epochs of training, 0 or more, not {self.ages[0]}")
        if self.stored_steps > self.steps:
            raise ValueError(f"--stored-steps must be at most the {self.steps} of --steps, not {self.stored_steps}")


_AGES = (0, 1, 2, 4, 8, 16)
RECIPES = {
    "digits": Recipe(16, False, 0, 3, (0, 2, 8, 32), groups=1, steps=200, stored_steps=40, stored_bytes=400),
    "cifar100": Recipe(64, True, 4, 8, _AGES, groups=10, steps=250, stored_steps=50, stored_bytes=1000),
    "tiny-imagenet": Recipe(50, True, 4, 4, _AGES, groups=8, steps=200, stored_steps=40, stored_bytes=800),
}
