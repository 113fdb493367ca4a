"""How each preset is trained, unless told otherwise."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Recipe:
    """The numbers of a training.

    Attributes:
        batch: images a step.
        rate: the highest learning rate; it is reached after `warmup` images, and falls with the square root of the
            images seen after `hold` images (arXiv 2312.02696, equation 67), so that training can stop at any time.
        warmup, hold: in images.
        images: seen in all when training is done.
        noise: mean and standard deviation of ln(sigma).
        augment: probability of each augmentation that the network is told of.
        dropout: in the residual blocks.
        flip: whether mirrored images are as real.
    """

    batch: int
    rate: float
    warmup: int
    hold: int
    images: int
    noise: tuple[float, float]
    augment: float
    dropout: float
    flip: bool

    def rate_at(self, images: int) -> float:
        """The learning rate after `images` images."""
        return self.rate * min(images / self.warmup, 1.0) / max(images / self.hold, 1.0) ** 0.5


# The averages of the weights have half-lives that grow with the images seen, and are these shares of them.
HALF_LIVES = (0.01, 0.03, 0.1)

# Noise at ln(sigma) = -1.2 +- 1.2 is right for photographs (arXiv 2206.00364). Digits are 8 x 8 pixels enlarged: what
# there is to decide shows through more noise.
#                               batch rate  warmup   hold       images      noise        augment dropout flip
RECIPES = {
    "digits":            Recipe(64,   0.02, 4_000,   60_000,    250_000,    (0.4, 1.6),  0.15, 0.1,  False),
    "cifar100-cpu":      Recipe(128,  0.01, 20_000,  300_000,   1_200_000,  (-1.2, 1.2), 0.0,  0.0,  True),
    "cifar100-gpu":      Recipe(512,  0.01, 200_000, 4_000_000, 16_000_000, (-1.2, 1.2), 0.12, 0.1,  True),
    "tiny-imagenet-cpu": Recipe(128,  0.01, 20_000,  300_000,   1_200_000,  (-1.2, 1.2), 0.0,  0.0,  True),
    "tiny-imagenet-gpu": Recipe(512,  0.01, 200_000, 4_000_000, 16_000_000, (-1.2, 1.2), 0.12, 0.05, True),
}  # fmt: skip
