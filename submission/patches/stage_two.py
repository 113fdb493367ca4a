"""Stage II: diffusion features of the chosen patches, k-means within the class, and one order for every IPC."""

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from submission.contract.pixels import resize_uint8
from submission.contract.seeded import normal
from submission.diffusion.noise_model import NoiseModel

RESTARTS = 4  # of k-means
FEATURE_TIME = 0.26  # of the schedule, where features of diffusion models tell what things are (arXiv 2306.03881)


def block_of(model: NoiseModel, name: str | None) -> nn.Module:
    """The block of the model's network called `name`, or the model's own choice. Raises ValueError without one."""
    network: nn.Module = model.network
    try:
        return network.get_submodule(name or model.feature_block)
    except AttributeError:
        known = ", ".join(child for child, _ in network.named_children())
        raise ValueError(f"the model has no block {name!r}; choose one of {known}, or one within them") from None


def patch_features(
    model: NoiseModel, block: nn.Module, patches_BCHW: Tensor, labels_B: Tensor, seeds_B: Tensor
) -> Tensor:
    """What `block` makes of each noised patch, uint8 of any size: its mean at unit length, float32 (B, D), CPU."""
    z_BCHW = model.encode(resize_uint8(patches_BCHW, model.size))
    labels_B, seeds_B = labels_B.to(z_BCHW.device), seeds_B.to(z_BCHW.device)
    timestep = int(FEATURE_TIME * len(model.gammas_T))
    gamma = model.gammas_T[timestep]
    noise_BCHW = normal(seeds_B, z_BCHW[0].numel()).view_as(z_BCHW)
    noisy_BCHW = gamma.sqrt() * z_BCHW + (1 - gamma).sqrt() * noise_BCHW
    outputs: list[Tensor] = []
    hook = block.register_forward_hook(lambda module, inputs, output: outputs.append(_tensor(output)))
    try:
        model.predict(noisy_BCHW, torch.full_like(labels_B, timestep), labels_B)
    finally:
        hook.remove()
    (output,) = outputs
    # maps are (B, D, H, W), tokens (B, N, D)
    features_BD = output.flatten(2).mean(2) if output.ndim == 4 else output.mean(1)
    return F.normalize(features_BD.float(), dim=1).cpu()


def cluster(points_ND: NDArray[np.float32], count: int, seed: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """At most `count` clusters: of each point, int64 (N,) in [0, K), and their centres, float32 (K, D)."""
    from sklearn.cluster import KMeans

    count = min(count, len(np.unique(points_ND, axis=0)))
    found = KMeans(count, n_init=RESTARTS, random_state=seed).fit(points_ND)
    return found.labels_.astype(np.int64), found.cluster_centers_.astype(np.float32)


def order_class(scores_N: NDArray[np.float32], clusters_N: NDArray[np.int64]) -> NDArray[np.int64]:
    """One order of a class's patches, positions int64 (N,), of which every beginning is a choice for its IPC.

    Round after round over the clusters, the one with the highest median score first, each gives its best patch left.
    """
    clusters = np.unique(clusters_N)
    medians = np.array([np.median(scores_N[clusters_N == cluster]) for cluster in clusters])
    turn_N = np.empty(len(scores_N), np.int64)
    round_N = np.empty(len(scores_N), np.int64)
    for turn, cluster in enumerate(clusters[np.argsort(-medians, kind="stable")]):
        members = np.flatnonzero(clusters_N == cluster)
        best_first = members[np.argsort(-scores_N[members], kind="stable")]
        turn_N[best_first] = turn
        round_N[best_first] = np.arange(len(members))
    return np.lexsort((turn_N, round_N)).astype(np.int64)


def _tensor(output: Tensor | tuple[Tensor, ...]) -> Tensor:
    return output if isinstance(output, Tensor) else output[0]
