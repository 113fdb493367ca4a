"""Prompts as SDXL's U-Net takes them: both text encoders, once per prompt, and then gone from memory."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from submission.classes.prompts import Prompts
from submission.contract.seeded import bits
from submission.diffusion.pretrained import load_part

# prompts encoded at a time
_BATCH = 64


@dataclass(frozen=True)
class PromptTable:
    """The encoded prompts of every class, P prompts of C classes.

    Attributes:
        context_PLD: for cross-attention, both encoders side by side.
        pooled_PE: one vector each, of the second encoder.
        first_C: int64, each class's first prompt; its others follow.
        count_C: int64, how many prompts it has.
    """

    context_PLD: Tensor
    pooled_PE: Tensor
    first_C: Tensor
    count_C: Tensor

    def choose(self, labels_B: Tensor, seeds_B: Tensor) -> tuple[Tensor, Tensor]:
        """(B, L, D) and (B, E): a prompt of each image's class; where it has several, the image's seed decides."""
        prompts_B = self.first_C[labels_B] + bits(seeds_B, 1)[:, 0] % self.count_C[labels_B]
        return self.context_PLD[prompts_B], self.pooled_PE[prompts_B]


def encode_prompts(folder: Path, prompts: Prompts, dtype: torch.dtype, device: str) -> PromptTable:
    """Encode the prompts of every class with the model in `folder`.

    Raises:
        ValueError: an encoder or a tokenizer there is damaged.
    """
    from transformers import CLIPTextModel, CLIPTextModelWithProjection

    texts = [text for several in prompts for text in several]
    hidden_PLD, _ = _encode(CLIPTextModel, folder, "", texts, dtype, device)
    hidden_2_PLD, pooled_PE = _encode(CLIPTextModelWithProjection, folder, "_2", texts, dtype, device)
    count_C = torch.tensor([len(several) for several in prompts], device=device)
    return PromptTable(torch.cat([hidden_PLD, hidden_2_PLD], dim=-1), pooled_PE, count_C.cumsum(0) - count_C, count_C)


@torch.inference_mode()
def _encode(
    kind: type[torch.nn.Module], folder: Path, suffix: str, texts: Sequence[str], dtype: torch.dtype, device: str
) -> tuple[Tensor, Tensor]:
    """The last but one hidden states (P, L, D), as SDXL was trained, and the encoder's own output for each text."""
    ids_PL = _token_ids(folder, f"tokenizer{suffix}", texts)
    encoder = load_part(kind, folder, f"text_encoder{suffix}", dtype, device)
    told = [encoder(part_BL.to(device), output_hidden_states=True) for part_BL in ids_PL.split(_BATCH)]
    return torch.cat([each.hidden_states[-2] for each in told]), torch.cat([each[0] for each in told])


def _token_ids(folder: Path, subfolder: str, texts: Sequence[str]) -> Tensor:
    """int64 (P, L): every text cut or filled up to the length that the tokenizer states."""
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")  # for so few texts its threads only warn of forks
    from transformers import CLIPTokenizer

    try:
        tokenizer = CLIPTokenizer.from_pretrained(folder, subfolder=subfolder, local_files_only=True)
        length = tokenizer.model_max_length
        told = tokenizer(list(texts), padding="max_length", max_length=length, truncation=True, return_tensors="pt")
    except Exception as error:  # the tokenizers library raises bare Exceptions
        reason = str(error).strip().split("\n")[0]
        raise ValueError(
            f"{folder / subfolder} is damaged or holds no tokenizer ({reason}); copy the model again"
        ) from None
    return told.input_ids
