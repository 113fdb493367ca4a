"""The DiT that is trained: its label embedding for the challenge, which parameters are trained, and its folder."""

import copy
import json
import math
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from evaluation.base.challenge import Challenge
from evaluation.base.files import written_whole
from submission.diffusion.dit import MINMAX_FILE, DiT, Transformer, known_classes, read_schedule
from submission.diffusion.pretrained import load_part

Parameters = Literal["full", "difffit", "lora"]
Layer = TypeVar("Layer", bound=nn.Module)


def load_for(challenge: Challenge, base: Path, device: str) -> DiT:
    """The DiT in `base`, fp32, with a label embedding of the challenge's classes; new ones begin as the null label.

    Raises ValueError if files are damaged.
    """
    from diffusers import AutoencoderKL, DiTTransformer2DModel

    schedule = read_schedule(base)
    transformer: Transformer = load_part(DiTTransformer2DModel, base, "transformer", torch.float32, device)
    vae = load_part(AutoencoderKL, base, "vae", torch.float32 if device == "cpu" else torch.float16, device)
    tie_embeddings(transformer)
    relabel(transformer, known_classes(base, challenge), challenge.classes)
    return DiT(transformer, vae, schedule, tuple(range(challenge.classes)))


class LowRank(nn.Module):
    """A layer with matrices beside its own: W x + b + B A x, B zero at first (LoRA, arXiv 2106.09685)."""

    def __init__(self, linear: nn.Linear, rank: int) -> None:
        super().__init__()
        rank = min(rank, linear.in_features, linear.out_features)
        bound, device = 1 / math.sqrt(linear.in_features), linear.weight.device
        self.linear = linear
        self.a_RI = nn.Parameter(torch.empty(rank, linear.in_features, device=device).uniform_(-bound, bound))
        self.b_OR = nn.Parameter(torch.zeros(linear.out_features, rank, device=device))

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(x) + F.linear(F.linear(x, self.a_RI), self.b_OR)

    def merged(self) -> nn.Linear:
        """One layer that does the same; the one within is changed for it."""
        self.linear.weight += self.b_OR @ self.a_RI
        return self.linear


def relabel(transformer: Transformer, rows: Sequence[int] | None, classes: int) -> None:
    """Give the transformer a label embedding of `classes` classes and then its null label, as it was.

    Each class begins as its row in `rows` of the old embedding, or, where that is None, as the null label.
    """
    for embedding in _embeddings(transformer):
        old = embedding.class_embedder.embedding_table.weight.detach()
        null = len(old) - 1
        chosen = [*(rows if rows is not None else [null] * classes), null]
        embedding.class_embedder.embedding_table = nn.Embedding.from_pretrained(old[chosen].clone(), freeze=False)
        embedding.class_embedder.num_classes = classes
    transformer.register_to_config(num_embeds_ada_norm=classes)


def tie_embeddings(transformer: Transformer) -> None:
    """Let the blocks share one embedding of time and label where theirs are equal, as in the DiT paper.

    diffusers keeps a copy in each block, 27 too many in DiT-XL; training would let them drift apart.
    """
    first = transformer.transformer_blocks[0].norm1.emb
    for block in transformer.transformer_blocks[1:]:
        pairs = zip(first.parameters(), block.norm1.emb.parameters(), strict=True)
        if all(torch.equal(mine, other) for mine, other in pairs):
            block.norm1.emb = first


def choose_parameters(transformer: Transformer, kind: Parameters, rank: int) -> dict[str, nn.Parameter]:
    """Let `kind` alone be trained; returns it by name.

    full: everything. difffit: biases, norms and the label embedding (after arXiv 2304.06648, without its scales).
    lora: matrices of `rank` beside those of attention and feed-forward layers, and the label embedding.
    """
    transformer.requires_grad_(kind == "full")
    if kind != "full":
        for embedding in _embeddings(transformer):
            embedding.class_embedder.requires_grad_(True)
    if kind == "difffit":
        for module in transformer.modules():
            if isinstance(module, nn.LayerNorm | nn.GroupNorm):
                module.requires_grad_(True)
            elif isinstance(bias := getattr(module, "bias", None), nn.Parameter):
                bias.requires_grad_(True)
    if kind == "lora":
        for parent, name, layer in _block_layers(transformer, nn.Linear):
            setattr(parent, name, LowRank(layer, rank))
    return {name: parameter for name, parameter in transformer.named_parameters() if parameter.requires_grad}


@torch.no_grad()
def plain_copy(transformer: Transformer, values: Mapping[str, Tensor]) -> Transformer:
    """A copy as diffusers knows it, with `values` for the trained parameters, LoRA merged, embeddings untied."""
    plain = copy.deepcopy(transformer)
    for name, parameter in plain.named_parameters():
        if parameter.requires_grad:
            parameter.copy_(values[name])
    for parent, name, layer in _block_layers(plain, LowRank):
        setattr(parent, name, layer.merged())
    for block in plain.transformer_blocks[1:]:
        block.norm1.emb = copy.deepcopy(block.norm1.emb)
    return plain.requires_grad_(False)


def _embeddings(transformer: Transformer) -> list[Any]:
    """The different embeddings of time and label of its blocks."""
    return list({id(block.norm1.emb): block.norm1.emb for block in transformer.transformer_blocks}.values())


def _block_layers(transformer: Transformer, kind: type[Layer]) -> list[tuple[nn.Module, str, Layer]]:
    """The layers of `kind` in the attention and feed-forward parts of the blocks, each as (parent, name, layer)."""
    return [
        (parent, name, child)
        for block in transformer.transformer_blocks
        for part in (block.attn1, block.ff)
        for parent in part.modules()
        for name, child in parent.named_children()
        if isinstance(child, kind)
    ]


@dataclass(frozen=True)
class ModelCard:
    """What `minmax.json` says of a training: `data` in words, `recipe` as JSON, `images_seen` with repetitions.

    `base` is the folder's or hub name of the model that it began with, whose licence the weights keep.
    """

    challenge: str
    base: str
    data: str
    recipe: dict[str, Any]
    images_seen: int
    seed: int
    format: int = 1


def save_model(folder: Path, transformer: Transformer, base: Path, challenge: Challenge, card: ModelCard) -> None:
    """Write `folder` in the layout of a `DiTPipeline`, whole or not at all: fp16 transformer, the rest from `base`.

    Raises ValueError if a weight does not fit in 16 bits.
    """
    import diffusers

    transformer = transformer.half()
    if not all(parameter.isfinite().all() for parameter in transformer.parameters()):
        raise ValueError("a weight does not fit in 16 bits; the training has diverged, begin anew at a lower --rate")
    scheduler = json.loads((base / "scheduler" / "scheduler_config.json").read_text(encoding="utf-8"))
    index = {
        "_class_name": "DiTPipeline",
        "_diffusers_version": diffusers.__version__,
        "id2label": {str(label): name for label, name in enumerate(challenge.class_names)},
        "scheduler": ["diffusers", scheduler.get("_class_name", "DDIMScheduler")],
        "transformer": ["diffusers", "DiTTransformer2DModel"],
        "vae": ["diffusers", "AutoencoderKL"],
    }
    with written_whole(folder) as part:
        transformer.save_pretrained(part / "transformer")
        for name in ("vae", "scheduler"):
            shutil.copytree(base / name, part / name)
        for file, content in (("model_index.json", index), (MINMAX_FILE, asdict(card))):
            (part / file).write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
