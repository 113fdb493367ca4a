"""`dit-minmax`: a DiT that `python -m submission.training minmax` has fine-tuned for the challenge."""

from dataclasses import replace
from pathlib import Path

from evaluation.base.challenge import Challenge
from submission.diffusion.dit import MINMAX_FILE
from submission.generators.dit import DiTGenerator


class DiTMinMax(DiTGenerator):
    """The system of the second place: min-max fine-tuning, then few steps (DSR)."""

    info = replace(
        DiTGenerator.info,
        name="dit-minmax",
        summary="the second place: DiT with min-max fine-tuning on the challenge's training split; any steps (DSR)",
        weights_from="trained by `python -m submission.training minmax`; its folder as --weights",
    )

    @classmethod
    def find_weights(cls, challenge: Challenge, source: str | None) -> Path:
        if source is None or not Path(source).is_dir():
            cls.check_weights(challenge)
        folder = super().find_weights(challenge, source)
        if not (folder / MINMAX_FILE).is_file():
            raise ValueError(
                f"{folder} holds no {MINMAX_FILE}, so it is not what `python -m submission.training minmax` made; give"
                " the folder `model` that is in its --out, or take --generator dit"
            )
        return folder

    @classmethod
    def check_weights(cls, challenge: Challenge) -> None:
        raise ValueError(
            f"weights of 'dit-minmax' come from training: `python -m submission.training minmax --dataset"
            f" {challenge.name} --out DIR`, then give --weights DIR/model"
        )
