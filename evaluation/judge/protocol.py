"""Protocol: the hyperparameters of the judge's training, and the result of a round."""

from dataclasses import dataclass

FULL_EPOCHS = 1000
FULL_ROUNDS = 3


@dataclass(frozen=True)
class Protocol:
    """How the judge trains its network; the defaults are the challenge's (`docs/protocol.md`).

    Attributes:
        epochs: what the challenge calls epochs; `passes` is what is run.
        batch_size: images per step; the last, short batch of a pass is kept.
        lr: learning rate up to and including the pass with index `drop_after`.
        lr_after_drop: learning rate from then on.
        momentum, weight_decay: of SGD, on all parameters.
    """

    epochs: int = FULL_EPOCHS
    batch_size: int = 256
    lr: float = 0.01
    lr_after_drop: float = 0.001
    momentum: float = 0.9
    weight_decay: float = 5e-4

    def __post_init__(self) -> None:
        if self.epochs < 1:
            raise ValueError(f"epochs must be at least 1, not {self.epochs}")
        if self.batch_size < 1:
            raise ValueError(f"the batch size must be at least 1, not {self.batch_size}")

    @property
    def passes(self) -> int:
        """Passes over the training images: index 0 to `epochs`, both included."""
        return self.epochs + 1

    @property
    def drop_after(self) -> int:
        """Index of the last pass at `lr`; after it a new optimiser is created with `lr_after_drop`."""
        return self.epochs // 2 + 1

    def lr_of_pass(self, index: int) -> float:
        """The learning rate of the pass with this index."""
        return self.lr if index <= self.drop_after else self.lr_after_drop

    def steps_per_pass(self, images: int) -> int:
        """SGD steps of one pass over this many images."""
        return -(-images // self.batch_size)


@dataclass(frozen=True)
class Round:
    """One training of the judge's network and its result on the test set.

    Attributes:
        seed: determines initial weights, shuffles and augmentation draws.
        accuracy, per_class: fraction of the test images, in [0, 1]; by label, None for a class without test images.
        seconds: spent on this round, over all sessions; its part of the time of rounds trained in parallel.
        passes: passes over the training images.
    """

    seed: int
    accuracy: float
    per_class: tuple[float | None, ...]
    seconds: float
    passes: int


@dataclass(frozen=True)
class Progress:
    """How far a judgement is: rounds done and in all, passes done and in all over all rounds, which may be in parallel.

    `loss` is the mean training loss since the last report.
    """

    rounds_done: int
    rounds: int
    passes_done: int
    passes: int
    loss: float
