"""Min-max training, step by step, and its published numbers. A step depends on the last state and (seed, k) alone."""

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from submission.diffusion.dit import Transformer, noise_and_variance
from submission.training.common.options import check_ranges, option
from submission.training.minmax.latents import Latents
from submission.training.minmax.losses import (
    Memory,
    MemoryOf,
    diffusion_loss,
    greatest_similarity,
    least_similarity,
    predicted_features,
    training_loss,
)
from submission.training.minmax.model import Parameters, choose_parameters, plain_copy
from submission.training.native.diffusion import step_seed


@dataclass(frozen=True)
class MinMaxRecipe:
    """The numbers of a training; lambdas weigh losses of equation 4, `memory` is N_M and N_D of the paper.

    Attributes:
        memory_of: whether memories are of a class or of the mini-batches just before, whatever their classes.
        parameters: see `choose_parameters`.
        rate: of Adam, constant. (AdamW without weight decay is Adam.)
        label_dropout: fraction of the images that are trained without their label, as guidance needs it.
    """

    lambda_r: float = field(metadata=option("weight of the representativeness loss", at_least=0))
    lambda_d: float = field(metadata=option("weight of the diversity loss", at_least=0))
    memory: int = field(metadata=option("features in each memory", above=0))
    memory_of: MemoryOf = field(metadata=option("what a memory is of"))
    parameters: Parameters = field(metadata=option("what is trained"))
    rank: int = field(metadata=option("of LoRA's matrices", above=0))
    epochs: float = field(metadata=option("passes over the data", above=0))
    batch: int = field(metadata=option("images a step", above=0))
    rate: float = field(metadata=option("learning rate", above=0))
    label_dropout: float = 0.1

    def __post_init__(self) -> None:
        check_ranges(self)


# "paper": Fan et al. 2024, section 3.2, with memories per class; "cvpr": Gu et al., "Efficient Dataset Distillation via
# Minimax Diffusion", CVPR 2024.
#                        lambda_r lambda_d memory of       parameters rank epochs batch rate
PRESETS = {
    "paper": MinMaxRecipe(1e-3,    2e-3,    64,   "class", "full",    16,  8,     8,    1e-4),
    "cvpr":  MinMaxRecipe(2e-3,    8e-3,    64,   "class", "difffit", 16,  8,     8,    1e-3),
}  # fmt: skip

# Longest memory of the average of the weights, as the DiT paper's; it is shorter at first.
EMA_DECAY = 0.9999


class MinMaxTraining:
    """A DiT in training with its optimiser, its memories and the average of its weights.

    The transformer stays in evaluation mode, else each block would drop labels by a draw of its own. Labels drop here.
    """

    def __init__(
        self, transformer: Transformer, gammas_T: Tensor, recipe: MinMaxRecipe, data: Latents, seed: int
    ) -> None:
        """`transformer` (fp32) has exactly the challenge's classes and is on the device to train on."""
        device = str(transformer.device)
        self.transformer = transformer.eval()
        self.recipe, self.data, self.seed = recipe, data, seed
        self.images = 0
        self.classes = transformer.config.num_embeds_ada_norm
        self._gammas_T = gammas_T.to(device)
        torch.manual_seed(seed)  # LoRA's matrices
        self.parameters = choose_parameters(transformer, recipe.parameters, recipe.rank)
        self.averages = {name: parameter.detach().clone() for name, parameter in self.parameters.items()}
        self.optimiser = torch.optim.Adam(self.parameters.values(), lr=recipe.rate)
        features = data.latents_NCSS[0].numel()
        self.real, self.generated = (
            Memory(recipe.memory_of, self.classes, recipe.memory, features, device) for _ in range(2)
        )
        self._order: tuple[int, list[int]] = (-1, [])
        self._terms: list[Tensor] = []

    @property
    def total(self) -> int:
        return round(self.recipe.epochs * len(self.data))

    @property
    def batch(self) -> int:
        return self.recipe.batch

    @property
    def rate(self) -> float:
        return self.recipe.rate

    def step(self) -> Tensor:
        """Train on one batch; returns equation 4 for it, a scalar on the device."""
        recipe = self.recipe
        index_B = [self._at(place) for place in range(self.images, self.images + recipe.batch)]
        torch.manual_seed(step_seed(self.seed, self.images))
        labels_B = [self.data.labels[index] for index in index_B]
        kept = (torch.rand(recipe.batch) >= recipe.label_dropout).nonzero()[:, 0].tolist()
        t_B = torch.randint(len(self._gammas_T), (recipe.batch,)).to(self._gammas_T.device)
        z0_BCHW = self.data.latents_NCSS[index_B].to(self._gammas_T.device).float()
        noise_BCHW = torch.randn_like(z0_BCHW)
        z_BCHW = noised(z0_BCHW, noise_BCHW, self._gammas_T[t_B])

        ids_B = torch.full((recipe.batch,), self.classes)
        ids_B[kept] = torch.tensor(labels_B)[kept]
        with torch.autocast(z_BCHW.device.type, torch.bfloat16, enabled=z_BCHW.device.type == "cuda"):
            predicted_BCHW, _ = noise_and_variance(self.transformer, z_BCHW, t_B, ids_B.to(t_B.device))
        diffusion = diffusion_loss(noise_BCHW, predicted_BCHW)
        # what was predicted without a class says nothing of its class
        features_KD = predicted_features(z_BCHW, predicted_BCHW)[kept]
        labels_K = [labels_B[i] for i in kept]
        least = least_similarity(features_KD, *self.real.of(labels_K))
        greatest = greatest_similarity(features_KD, *self.generated.of(labels_K))
        loss = training_loss(diffusion, least, greatest, recipe.lambda_r, recipe.lambda_d)
        loss.backward()
        self.optimiser.step()
        self.optimiser.zero_grad(set_to_none=True)

        self.real.push(labels_B, z0_BCHW.flatten(1))
        self.generated.push(labels_K, features_KD)
        steps = self.images // recipe.batch + 1
        self.images += recipe.batch
        self._average(min(EMA_DECAY, (1 + steps) / (10 + steps)))
        self._terms.append(torch.stack([diffusion, least, greatest]).detach())
        return loss.detach()

    def measured(self) -> dict[str, float]:
        """The terms of equation 4 since it was last asked: the diffusion loss, and min and max of the similarities."""
        if not self._terms:
            return {}
        means = torch.stack(self._terms).mean(0).tolist()
        self._terms.clear()
        return dict(zip(("diffusion_loss", "similarity_real", "similarity_generated"), means, strict=True))

    def averaged(self) -> Transformer:
        """A plain copy of the transformer with the averages of its weights, fp32."""
        return plain_copy(self.transformer, self.averages)

    def state(self) -> dict[str, Any]:
        """All that the next step depends on, beside the weights that are not trained."""
        return {
            "images": self.images,
            "parameters": {name: parameter.detach() for name, parameter in self.parameters.items()},
            "averages": self.averages,
            "optimiser": self.optimiser.state_dict(),
            "real": self.real.state(),
            "generated": self.generated.state(),
        }

    def restore(self, state: dict[str, Any]) -> None:
        self.images = state["images"]
        with torch.no_grad():
            for name, parameter in self.parameters.items():
                parameter.copy_(state["parameters"][name])
                self.averages[name].copy_(state["averages"][name])
        self.optimiser.load_state_dict(state["optimiser"])
        self.real.restore(state["real"])
        self.generated.restore(state["generated"])

    def _at(self, place: int) -> int:
        """The image at `place` of a run through epoch after epoch, each in an order of its own."""
        epoch, position = divmod(place, len(self.data))
        if self._order[0] != epoch:
            draw = torch.Generator().manual_seed(step_seed(self.seed, -1 - epoch))
            self._order = (epoch, torch.randperm(len(self.data), generator=draw).tolist())
        return self._order[1][position]

    @torch.no_grad()
    def _average(self, keep: float) -> None:
        torch._foreach_lerp_(list(self.averages.values()), list(self.parameters.values()), 1 - keep)


def noised(z0_BCHW: Tensor, noise_BCHW: Tensor, gamma_B: Tensor) -> Tensor:
    """z_t = sqrt(gamma_t) z_0 + sqrt(1 - gamma_t) noise, section 2.1 of the paper."""
    gamma_B111 = gamma_B[:, None, None, None]
    return gamma_B111.sqrt() * z0_BCHW + (1 - gamma_B111).sqrt() * noise_BCHW
