"""`python -m submission.training native`: train the network of `native`, in one go or in pieces."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from torch import Tensor

from submission.contract.weights import load_weights
from submission.diffusion.networks.unet import PRESETS
from submission.generators.native import Native
from submission.training.common.options import option
from submission.training.native import model_selection
from submission.training.native.command import Model, NetworkOptions, NetworkRun
from submission.training.native.diffusion import DeviceData
from submission.training.native.model_selection import Candidate, fewest_steps, held_out_loss
from submission.training.native.recipes import HALF_LIVES, RECIPES

EXAMPLES = """
examples:
  python -m submission.training native --dataset digits
  python -m submission.training native --dataset cifar100 --data DIR                    two hours on a CPU
  python -m submission.training native --dataset cifar100 --data DIR --preset cifar100-gpu --out DIR --minutes 9
  ... then as often as needed:  the same with --resume                       each piece ends with usable weights
"""


@dataclass(frozen=True, kw_only=True)
class NativeOptions(NetworkOptions):
    """The options of diffusion training."""

    preset: str | None = field(
        default=None, metadata=option("network and recipe; default: the challenge's for --device", choices=PRESETS)
    )
    weights: Path | None = field(default=None, metadata=option("weights file to go on from", flag="--from"))

    def __post_init__(self) -> None:
        if self.resume and self.weights:
            raise ValueError("--resume goes on from the checkpoint in --out; leave out --from")


class DiffusionRun(NetworkRun):
    """Diffusion training."""

    verb = "native"
    examples = EXAMPLES
    options = NativeOptions

    def start(self, options: NativeOptions, changes: Mapping[str, Any]) -> tuple[Model, Path | None, int]:
        challenge, preset, shape, seen = self.challenge, options.preset, None, 0
        if path := options.weights:
            _, header = load_weights(path, "native", challenge)
            if preset not in (None, header.model["preset"]):
                raise ValueError(f"{path} is of preset {header.model['preset']!r}; leave out --preset {preset}")
            if "distilled_images" in header.model:
                raise ValueError(f"{path} holds a consistency model; give the weights that it was made from")
            preset, shape, seen = (header.model[key] for key in ("preset", "network", "images_seen"))
        if preset is None:
            kind = "cpu" if options.device == "cpu" else "gpu"
            preset = challenge.name if challenge.name in PRESETS else f"{challenge.name}-{kind}"
        made_for, config = PRESETS[preset]
        if made_for != challenge.name:
            fitting = ", ".join(name for name, (other, _) in PRESETS.items() if other == challenge.name)
            raise ValueError(f"preset {preset} is for {made_for}; for {challenge.name} choose one of: {fitting}")
        model = Model(preset, shape or asdict(config), replace(RECIPES[preset], **changes), options.seed)
        return model, options.weights, seen

    def generate(self, labels_B: Tensor, seeds_B: Tensor) -> Tensor:
        return Native(self.denoiser(1), "dpm2m").generate(labels_B, seeds_B, 12)

    def export(self) -> Path:
        """The average by the held-out loss, then solver and steps by the distance from held-out images."""
        assert self.held_out is not None
        held_out = DeviceData.put(self.held_out, self.device)
        denoisers = [self.denoiser(average) for average in range(len(HALF_LIVES))]
        losses = [held_out_loss(denoiser, self.training.loss, held_out) for denoiser in denoisers]
        best = min(range(len(losses)), key=losses.__getitem__)
        candidates = [
            Candidate(solver=solver, steps=steps, distance=self.distance(Native(denoisers[best], solver), steps))
            for solver, steps in model_selection.CANDIDATES
        ]
        chosen = fewest_steps(candidates)
        facts = {
            "images_seen": self.training.images,
            "held_out_loss": losses[best],
            "solver": chosen.solver,
            "steps": chosen.steps,
        }
        choice = {
            "held_out_loss": dict(zip(map(str, HALF_LIVES), losses, strict=True)),
            "candidates": [asdict(candidate) for candidate in candidates],
            "chosen": asdict(chosen),
        }
        return self.write(best, facts, choice)
