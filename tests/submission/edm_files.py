"""Small EDM networks in the very form of the published files: a pickle that carries source code."""

from __future__ import annotations

import pickle
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from torch import nn

from submission.diffusion.networks.edm_unet import EDMUNet, SongUNet


class Persistent(nn.Module):
    """An instance of a class that `torch_utils.persistence` decorates."""

    def __init__(self, class_name: str, source: str, **attributes: Any) -> None:
        super().__init__()
        self.__dict__.update(_described=(class_name, source), _init_args=(), **attributes)

    def __reduce__(self) -> Any:
        state = dict(self.__dict__)
        class_name, source = state.pop("_described")
        meta = {"type": "class", "version": 6, "module_src": source, "class_name": class_name, "state": state}
        return sys.modules["torch_utils.persistence"]._reconstruct_persistent_obj, (meta,)


def published(network: EDMUNet, source: str = "", **changes: Any) -> Persistent:
    """`network` in its preconditioning wrapper; `changes` are arguments of its class that the file tells of."""
    config = network.config
    arguments = {
        "img_resolution": config.size, "in_channels": 3, "out_channels": 3, "label_dim": config.classes,
        "model_channels": config.width, "channel_mult": list(config.multipliers), "num_blocks": config.blocks,
        "attn_resolutions": list(config.attention), "augment_dim": config.augment, "dropout": np.float64(0.13),
        "label_dropout": config.label_dropout,
    }  # fmt: skip
    if isinstance(network, SongUNet):
        arguments |= {"embedding_type": "positional", "encoder_type": "standard", "resample_filter": [1, 1]}
    model = _persistent(network, type(network).__name__, source)
    model.__dict__["_init_kwargs"] = arguments | changes
    wrapper = Persistent("EDMPrecond", source, sigma_data=0.5, sigma_min=0, label_dim=config.classes)
    wrapper.__dict__["_init_kwargs"] = {"model_type": type(network).__name__, **arguments}
    wrapper._modules["model"] = model
    return wrapper.requires_grad_(False)


def _persistent(module: nn.Module, class_name: str, source: str) -> Persistent:
    made = Persistent(class_name, source, _init_kwargs={"init_weight": np.sqrt(0.2)}, skip_scale=np.sqrt(0.5))
    made._parameters.update(module._parameters)
    made._buffers.update({"resample_filter": None, **module._buffers})
    for name, child in module._modules.items():
        if isinstance(child, nn.ModuleDict):
            inner = {key: _persistent(block, "UNetBlock", source) for key, block in child.items()}
            made._modules[name] = nn.ModuleDict(inner)
        elif child is not None:
            made._modules[name] = _persistent(child, type(child).__name__, source)
    return made


@contextmanager
def torch_utils() -> Iterator[None]:
    """The module that the files name, which runs the source that they carry."""

    def _reconstruct_persistent_obj(meta: dict[str, Any]) -> Any:
        exec(meta["module_src"])
        return meta

    _reconstruct_persistent_obj.__module__ = "torch_utils.persistence"
    _reconstruct_persistent_obj.__qualname__ = "_reconstruct_persistent_obj"
    module = ModuleType("torch_utils.persistence")
    module._reconstruct_persistent_obj = _reconstruct_persistent_obj  # type: ignore[attr-defined]
    sys.modules |= {"torch_utils": ModuleType("torch_utils"), "torch_utils.persistence": module}
    try:
        yield
    finally:
        del sys.modules["torch_utils.persistence"], sys.modules["torch_utils"]


def write_pickle(path: Path, content: Any, protocol: int = 4) -> Path:
    with torch_utils():
        path.write_bytes(pickle.dumps(content, protocol))
    return path


def snapshot(network: EDMUNet, source: str = "", **changes: Any) -> dict[str, Any]:
    """What a published file holds beside the network, too."""
    return {
        "ema": published(network, source, **changes),
        "loss_fn": Persistent("EDMLoss", source, P_mean=-1.2, P_std=1.2, sigma_data=0.5),
        "augment_pipe": None,
        "dataset_kwargs": {"path": "cifar100.zip", "use_labels": True, "resolution": 32},
    }
