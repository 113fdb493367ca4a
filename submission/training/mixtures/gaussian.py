"""`python -m submission.training gaussian`: fit the mixtures of the `gaussian` generator, in seconds."""

import argparse
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Literal, get_args

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from evaluation.base.challenge import get_challenge
from evaluation.base.images import ImageSet
from evaluation.data.datasets import data_folder, load_split
from submission.contract.weights import export_weights
from submission.distillation.clusters import k_means, without_small_clusters
from submission.generators.gaussian import Mixture
from submission.training.common.options import DataOptions, add_options, check_ranges, given, option

ENOUGH_VARIANCE = 0.999  # components beyond this fraction of the variance are left out
PRIOR_IMAGES = 50  # a class's own variances weigh as its images do, the shared ones as so many
LARGEST_SIZE = 32  # larger images are modelled at this size: their leading components are smooth
CHUNK = 4096  # images on the device as floats at once
Covariance = Literal["shared", "scaled"]
COVARIANCES: tuple[Covariance, ...] = get_args(Covariance)


@dataclass(frozen=True)
class GaussianSettings:
    """Size of the mixtures, and the seed of the clustering.

    Attributes:
        components: fewer are kept where fewer hold 99.9% of the variance.
        covariance: `shared` by all classes, or `scaled` along its axes for each class by itself.
        spread: std scale of the images that are drawn, 1 as training images. Less makes them clearer and more alike.
        least: training images in a cluster, mirror images not counted; a smaller one's go to the next nearest, since a
            cluster of a single image would be drawn as that image with noise.
    """

    components: int = field(default=300, metadata=option("principal components kept", at_least=1))
    clusters: int = field(default=8, metadata=option("clusters per class", at_least=1))
    covariance: Covariance = field(default="shared", metadata=option("of all classes together, or scaled for each"))
    mirrored: bool = field(default=False, metadata=option("fit the mirror images as well: for photographs"))
    spread: float = field(default=1.0, metadata=option("scale of the standard deviations", at_least=0, at_most=2))
    least: int = field(default=10, metadata=option("training images in a cluster", at_least=1))
    seed: int = field(default=0, metadata=option("of the clustering"))

    def __post_init__(self) -> None:
        check_ranges(self)


@dataclass(frozen=True, kw_only=True)
class GaussianOptions(DataOptions):
    """The options of the command, beside those of the mixtures."""

    out: Path = field(default=Path("weights"), metadata=option("folder to write to"))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_options(parser, GaussianOptions)
    add_options(parser, GaussianSettings)


def run(args: argparse.Namespace) -> int:
    """Fit to the whole training split and write the weights file. Returns the exit code 0."""
    options = GaussianOptions(**given(args, GaussianOptions))
    settings = GaussianSettings(**given(args, GaussianSettings))
    challenge = get_challenge(options.dataset)
    train = load_split(challenge, "train", data_folder(options.data))
    began = time.monotonic()
    mixture = without_empty_clusters(fit(train, settings, options.device))
    model = {**asdict(settings), "size": min(challenge.size, LARGEST_SIZE)}
    path = export_weights(
        options.out, "gaussian", challenge, vars(mixture), trained_on=len(train), seed=settings.seed, model=model
    )
    print(f"{path}: {len(train):,} images, {time.monotonic() - began:.0f} s, {path.stat().st_size / 1e6:.1f} MB")
    return 0


def fit(images: ImageSet, settings: GaussianSettings, device: str = "cpu") -> Mixture:
    """The mixtures of `images`, labels 0 to C - 1. Raises ValueError if a class has fewer images than clusters."""
    distinct_N = torch.arange(len(images)).to(device)
    if settings.mirrored:
        images, distinct_N = with_mirror_images(images), torch.cat([distinct_N, distinct_N])
    labels_N = torch.from_numpy(images.labels).to(device)
    smallest = int(labels_N.bincount().min())
    if smallest < settings.clusters:
        raise ValueError(f"a class has {smallest} training images, fewer than {settings.clusters} clusters")
    mean_D, basis_PD = principal_components(images, settings.components, device)
    x_NP = torch.cat([(part - mean_D) @ basis_PD.t() for part in _chunks(images, device)])
    generator = torch.Generator().manual_seed(settings.seed)
    classes = int(labels_N.max()) + 1
    centres_CKP = x_NP.new_zeros(classes, settings.clusters, x_NP.shape[1])
    shares_CK = x_NP.new_zeros(classes, settings.clusters)
    for label in range(classes):
        x_MP = x_NP[labels_N == label]
        centres_KP, cluster_M = k_means(x_MP, settings.clusters, generator)
        centres_CKP[label], cluster_M = without_small_clusters(
            x_MP, centres_KP, cluster_M, distinct_N[labels_N == label], settings.least
        )
        shares_CK[label] = cluster_M.bincount(minlength=settings.clusters) / len(x_MP)
        x_NP[labels_N == label] = x_MP - centres_CKP[label, cluster_M]
    freedom = len(x_NP) - int((shares_CK > 0).sum())  # each cluster mean takes one
    covariance_PP = x_NP.double().t() @ x_NP.double() / max(freedom, 1)
    covariance_PP += 1e-8 * torch.eye(len(covariance_PP), dtype=torch.float64, device=device)
    variances_P, axes_PP = torch.linalg.eigh(covariance_PP)
    factor_PP = axes_PP * variances_P.sqrt()
    scales_CP = torch.ones(classes, len(variances_P), device=device)
    if settings.covariance == "scaled":
        along_NP = x_NP.double() @ axes_PP
        for label in range(classes):
            mine_MP, own = along_NP[labels_N == label], int((shares_CK[label] > 0).sum())
            ratio_P = mine_MP.square().sum(0) / variances_P
            freedom = max(len(mine_MP) - own, 0)
            scales_CP[label] = ((ratio_P + PRIOR_IMAGES) / (freedom + PRIOR_IMAGES)).sqrt().float()
    return Mixture(mean_D, basis_PD, centres_CKP, shares_CK, factor_PP.float(), scales_CP)


def without_empty_clusters(mixture: Mixture) -> Mixture:
    """The same distribution, drawn the same, with no more room than the class of most clusters needs."""
    used_CK = mixture.shares_CK > 0
    order_CK = used_CK.sort(dim=1, descending=True, stable=True).indices[:, : int(used_CK.sum(1).max())]
    index_CKP = order_CK[..., None].expand(-1, -1, mixture.centres_CKP.shape[2])
    return replace(
        mixture,
        centres_CKP=mixture.centres_CKP.gather(1, index_CKP),
        shares_CK=mixture.shares_CK.gather(1, order_CK),
    )


def with_mirror_images(images: ImageSet) -> ImageSet:
    """`images`, then each of them with left and right exchanged."""
    both = np.concatenate([images.images, images.images[..., ::-1]])
    return ImageSet(both, np.concatenate([images.labels, images.labels]))


def principal_components(images: ImageSet, count: int, device: str) -> tuple[Tensor, Tensor]:
    """The mean image (D,) in [0, 1] and the `count` leading components, orthonormal rows (P, D); fewer if they do."""
    total_D = sum(part.double().sum(0) for part in _chunks(images, device))
    assert isinstance(total_D, Tensor)
    mean_D = (total_D / len(images)).float()
    if len(images) < len(mean_D):
        variances_V, axes_VD = _axes_of_few(torch.cat([part - mean_D for part in _chunks(images, device)]).double())
    else:
        scatter_DD = torch.zeros(len(mean_D), len(mean_D), device=device)
        for part in _chunks(images, device):
            centred = part - mean_D
            scatter_DD += centred.t() @ centred
        variances_V, columns_DD = torch.linalg.eigh(scatter_DD / len(images))
        axes_VD = columns_DD.t()
    fraction_V = variances_V.flip(0).clamp_min(0).cumsum(0) / variances_V.clamp_min(0).sum()
    kept = min(count, 1 + int((fraction_V < ENOUGH_VARIANCE).sum()))
    return mean_D, axes_VD.flip(0)[:kept].float().contiguous()


def _axes_of_few(centred_ND: Tensor) -> tuple[Tensor, Tensor]:
    """The same of fewer images than pixels, from their products with each other: a far smaller matrix, (N, N).

    Variances (N,), ascending, and their axes (N, D), of which those with next to no variance are meaningless.
    """
    variances_N, weights_NN = torch.linalg.eigh(centred_ND @ centred_ND.t() / len(centred_ND))
    return variances_N, F.normalize(weights_NN.t() @ centred_ND)


def _chunks(images: ImageSet, device: str) -> Iterator[Tensor]:
    """The images as floats in [0, 1], (n, D), at no more than LARGEST_SIZE pixels, some at a time."""
    for start in range(0, len(images), CHUNK):
        part = torch.from_numpy(images.images[start : start + CHUNK]).to(device).float() / 255
        if part.shape[-1] > LARGEST_SIZE:
            part = F.interpolate(part, size=(LARGEST_SIZE, LARGEST_SIZE), mode="area")
        yield part.flatten(1)
