"""`python -m submission.training convert-edm`: a published EDM pickle to the weights file of `edm`, running nothing."""

import argparse
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch

from evaluation.base.challenge import challenges, get_challenge
from submission.classes.imagenet import imagenet_wnids
from submission.contract.weights import WeightsHeader, save_weights
from submission.diffusion.networks.edm_unet import EDMUNetConfig
from submission.generators.edm import ARCHITECTURES, IMAGENET, build_network
from submission.training.edm.pickle import StoredModule, read_edm_pickle

EXAMPLES = """
examples:
  python -m submission.training convert-edm edm-cifar100-32x32-cond-vp.pkl --dataset cifar100 --out weights
  python -m submission.training convert-edm edm-imagenet-64x64-cond-adm.pkl --dataset imagenet --licence "..."
"""

# What the architectures take where a file does not say otherwise, and what is built in here.
_DEFAULTS: dict[str, dict[str, Any]] = {
    "SongUNet": {"model_channels": 128, "channel_mult": [1, 2, 2, 2], "num_blocks": 4, "attn_resolutions": [16]},
    "DhariwalUNet": {
        "model_channels": 192, "channel_mult": [1, 2, 3, 4], "num_blocks": 3, "attn_resolutions": [32, 16, 8],
    },
}  # fmt: skip
_BUILT_IN: dict[str, Any] = {
    "in_channels": 3,
    "out_channels": 3,
    "channel_mult_emb": 4,
    "embedding_type": "positional",
    "channel_mult_noise": 1,
    "encoder_type": "standard",
    "decoder_type": "standard",
    "resample_filter": [1, 1],
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = EXAMPLES
    parser.add_argument("file", type=Path, metavar="FILE.pkl", help="a network in the EDM format")
    parser.add_argument(
        "--dataset", required=True, choices=(*challenges(), IMAGENET), help="what the network was trained on"
    )
    parser.add_argument("--out", type=Path, default=Path("weights"), help="folder to write to; default: %(default)s")
    parser.add_argument("--network", default="ema", help="which of the file's networks; default: %(default)s")
    parser.add_argument("--licence", default="unknown, see where the file is from", help="of the file, for the record")
    parser.add_argument("--fp32", action="store_true", help="keep 32 bits; default: 16")


def run(args: argparse.Namespace) -> int:
    """Convert. Returns the exit code 0. Raises ValueError where the file is not such a network."""
    print(convert_edm(args.file, args.dataset, args.out, args.network, args.licence, half=not args.fp32))
    return 0


def convert_edm(
    source: Path, dataset: str, out: Path, network: str = "ema", licence: str = "unknown", *, half: bool = True
) -> Path:
    """Write `edm-DATASET.safetensors` into `out`; returns its path.

    Args:
        source: a published `.pkl`.
        dataset: name of the challenge whose training split the network was trained on, or `IMAGENET`.
        licence: of the file, in words.

    Raises:
        ValueError: the file is damaged, holds anything but data, or its network is another than it should be.
    """
    import pooch

    class_names = imagenet_wnids() if dataset == IMAGENET else get_challenge(dataset).class_names
    wrapper = read_edm_pickle(source, network)
    try:
        architecture, config, sigma_data = network_shape(wrapper)
        model = {"architecture": architecture, "network": asdict(config), "sigma_data": sigma_data}
        arrays = fitting_tensors(wrapper.attribute("_modules")["model"].tensors(), model)
        if config.classes != len(class_names):
            raise ValueError(f"its network knows {config.classes} classes, {dataset} has {len(class_names)}")
        if half and not all(np.abs(array).max() <= np.finfo(np.float16).max for array in arrays.values()):
            raise ValueError("its network has numbers that 16 bits cannot hold; add --fp32")
    except ValueError as error:
        raise ValueError(f"{source} cannot be converted: {error}") from None
    kind = np.float16 if half else np.float32
    header = WeightsHeader(
        generator="edm",
        challenge=dataset,
        class_names=class_names,
        data=f"{dataset}, by others",
        licence=licence,
        seed=0,
        model={**model, "source": {"file": source.name, "sha256": pooch.file_hash(source), "network": network}},
    )
    path = out / f"edm-{dataset}.safetensors"
    save_weights(path, {name: torch.from_numpy(a.astype(kind)) for name, a in arrays.items()}, header, half=half)
    return path


def network_shape(wrapper: StoredModule) -> tuple[str, EDMUNetConfig, float]:
    """Architecture, shape and sigma_data of a preconditioned network; ValueError where it is none that is known."""
    module = wrapper.attribute("_modules").get("model")
    if wrapper.class_name != "EDMPrecond" or not isinstance(module, StoredModule):
        raise ValueError(f"it holds a {wrapper.class_name or 'container'}; only EDMPrecond is known")
    if module.class_name not in ARCHITECTURES:
        raise ValueError(f"its network is a {module.class_name}; known are {' and '.join(ARCHITECTURES)}")
    settings = {**_BUILT_IN, "augment_dim": 0, "label_dropout": 0, **_DEFAULTS[module.class_name]}
    settings |= module.attribute("_init_kwargs")
    for name, value in _BUILT_IN.items():
        if settings[name] != value:
            raise ValueError(f"its network has {name} {settings[name]!r}, not {value!r}; this form is not known")
    if not settings.get("label_dim"):
        raise ValueError("its network knows no classes")
    try:
        config = EDMUNetConfig(
            size=int(settings["img_resolution"]),
            classes=int(settings["label_dim"]),
            width=int(settings["model_channels"]),
            multipliers=tuple(int(multiplier) for multiplier in settings["channel_mult"]),
            blocks=int(settings["num_blocks"]),
            attention=tuple(int(size) for size in settings["attn_resolutions"]),
            augment=int(settings["augment_dim"]),
            label_dropout=float(settings["label_dropout"]),
        )
        return module.class_name, config, float(wrapper.state["sigma_data"])
    except (KeyError, TypeError):
        raise ValueError("its network does not say its shape") from None


def fitting_tensors(
    arrays: Mapping[str, np.ndarray[Any, Any]], model: Mapping[str, Any]
) -> Mapping[str, np.ndarray[Any, Any]]:
    """`arrays`, where their names and shapes are those of the network that `model` describes; else ValueError."""
    with torch.device("meta"):
        wanted = {name: tuple(tensor.shape) for name, tensor in build_network(model).state_dict().items()}
    found = {name: array.shape for name, array in arrays.items()}
    if wanted != found:
        name = min(name for name in {*wanted, *found} if wanted.get(name) != found.get(name))
        raise ValueError(f"its tensor {name} has shape {found.get(name)} where {wanted.get(name)} is wanted")
    return arrays
