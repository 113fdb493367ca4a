"""A training in pieces: what every command that trains does around its steps."""

from __future__ import annotations

import argparse
import sys
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from torch import Tensor

from evaluation.base.challenge import Challenge, get_challenge
from evaluation.base.images import ImageSet
from submission.training.common.checkpoint import load_checkpoint, save_checkpoint
from submission.training.common.options import SessionOptions, add_options, given
from submission.training.common.preview import quick_accuracy, save_preview
from submission.training.common.session import Session, Training

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Recipe = TypeVar("Recipe", bound="DataclassInstance")


class TrainingRun(ABC):
    """A training in pieces, and its command.

    Attributes:
        options: what the command takes beside the fields of `recipe`, whose defaults are those of `defaults`, in words.
        summary: what is trained and how, for people.
        identity: what a checkpoint says of the training beside its state.
        held_out: images of the training split that are not trained on, for the quick judge; None for none.
        flop: floating-point operations of training on one image; 0 where they are not counted.
        previewed: images in a preview.
    """

    verb: ClassVar[str]
    examples: ClassVar[str]
    options: ClassVar[type[SessionOptions]] = SessionOptions
    recipe: ClassVar[type[DataclassInstance]]
    defaults: ClassVar[str] = "the preset's"
    training: Training
    summary: str
    identity: Mapping[str, Any]
    held_out: ImageSet | None = None
    flop: float = 0.0
    previewed: int = 100

    def __init__(
        self,
        options: Any,
        challenge: Challenge,
        out: Path,
        saved: Mapping[str, Any] | None,
        changes: Mapping[str, Any],
    ) -> None:
        """`out`: folder for everything written; the others as in `begin`."""
        self.challenge, self.out, self.device = challenge, out, options.device
        self.begin(options, saved, changes)

    @abstractmethod
    def begin(self, options: Any, saved: Mapping[str, Any] | None, changes: Mapping[str, Any]) -> None:
        """Set all attributes, `training` before its first step.

        `saved` is a checkpoint to go on from, None to begin anew; `changes` are the user's, of the recipe.
        Raises ValueError if options, data, checkpoint or weights do not fit; the sentence says what to do.
        """

    @abstractmethod
    def generate(self, labels_B: Tensor, seeds_B: Tensor) -> Tensor:
        """Images made with the weights as they are now, uint8 (B, 3, H, W)."""

    @abstractmethod
    def export(self) -> Path:
        """Write what a generator loads; returns its path."""

    def close(self) -> None:  # noqa: B027 - most hold nothing
        """Release what the training holds."""

    @classmethod
    def add_arguments(cls, parser: argparse.ArgumentParser) -> None:
        parser.epilog = cls.examples
        add_options(parser, cls.options)
        add_options(parser, cls.recipe, cls.defaults)

    @classmethod
    def run(cls, args: argparse.Namespace) -> int:
        """Train and export. Returns the exit code: 0, or 130 where a signal ended the session.

        Raises ValueError as `begin` does.
        """
        options = cls.options(**given(args, cls.options))
        challenge = get_challenge(options.dataset)
        out = options.out or Path("runs") / f"{cls.verb}-{challenge.name}"
        checkpoint = out / "checkpoint.pt"
        if checkpoint.exists() and not options.resume:
            raise ValueError(f"{checkpoint} exists already: add --resume to go on from it, or choose another --out")
        saved = load_checkpoint(checkpoint, "cpu") if options.resume else None
        if saved and saved["challenge"] != challenge.name:
            raise ValueError(f"{checkpoint} is of a training for {saved['challenge']!r}, not {challenge.name!r}")
        run = cls(options, challenge, out, saved, given(args, cls.recipe))
        training = run.training
        if saved:
            training.restore(saved["state"])
        seen = f"{training.images:,} of {training.total:,} images seen"
        where = f"batch {training.batch}, {options.device}; writing to {out}"
        print(f"{cls.verb} for {challenge.title}: {run.summary}; {seen}; {where}", file=sys.stderr, flush=True)

        def save() -> None:
            save_checkpoint(checkpoint, {"challenge": challenge.name, **run.identity, "state": training.state()})

        def preview() -> None:
            path = out / "samples" / f"{training.images:012d}.png"
            save_preview(path, run.generate, challenge.classes, run.previewed)

        out.mkdir(parents=True, exist_ok=True)
        seconds = None if options.minutes is None else 60 * options.minutes
        quick = partial(quick_accuracy, run.generate, challenge=challenge, device=run.device)
        judge = None if run.held_out is None else partial(quick, run.held_out)
        try:
            done = Session(training, out / "loss.jsonl", save, preview, seconds, judge, run.flop).run()
        finally:
            run.close()
        if not done:
            print(f"stopped after {training.images:,} images; continue with --resume", file=sys.stderr)
            return 130
        print(run.export())
        return 0


def resumed(
    kind: type[Recipe], saved: Mapping[str, Any], changes: Mapping[str, Any], may_change: str | None, out: Path
) -> Recipe:
    """The recipe that the checkpoint in `out` has `saved`, with `changes`.

    Raises ValueError if a field but `may_change` changes, or the fields are those of another version.
    """
    try:
        recipe = kind(**saved)
    except TypeError:
        raise ValueError(
            f"the training in {out} was begun by another version, with other options; go on with that version, or"
            " begin anew in another --out"
        ) from None
    for name, value in changes.items():
        before = getattr(recipe, name)
        if name != may_change and value != before:
            option = f"--{name.replace('_', '-')} {before}"
            raise ValueError(f"the training in {out} has {option}; it cannot change on the way")
    return replace(recipe, **{name: value for name, value in changes.items() if name == may_change})
