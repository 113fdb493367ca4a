"""Which parameters of a DiT are trained, and its label embedding for another challenge."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from submission.diffusion.dit import Transformer
from submission.training.minmax.recipe import Parameters

Layer = TypeVar("Layer", bound=nn.Module)


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
    """Give the transformer a label embedding of `classes` classes; the null label comes after them, as it was.

    Args:
        rows: where each new class begins, a row of the old embedding; None to begin all as the null label, so that
            the model begins as what it is without a class.
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
    """A copy with `values` for the parameters that are trained, as diffusers knows it.

    LoRA's matrices are added to those that they stand beside, and each block has an embedding of its own again.
    """
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
