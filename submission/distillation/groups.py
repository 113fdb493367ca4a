"""Parts of the classes: groups of training images that experts see alike, and the means that prototypes begin at."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from evaluation.base.challenge import Challenge
from evaluation.base.images import ImageSet
from evaluation.judge.engine import DeviceSet, put_on_device
from evaluation.judge.fast_engine import features
from evaluation.judge.norm_relu_pool import choose_norm_relu_pool
from evaluation.judge.parallel import one_thread, workers_for
from submission.contract.precision import fastest_precision
from submission.distillation.clusters import k_means, without_small_clusters
from submission.distillation.experts import Expert
from submission.distillation.views import PLAIN_VIEW, View

CHUNK = 64  # images looked at at once: what fits in a core's cache
_FEATURE_COMPONENTS = 48  # of what an expert sees
_COARSE = 8  # pixels a side that start clusters are made on


@torch.no_grad()
def feature_groups(
    train: ImageSet,
    challenge: Challenge,
    experts: Sequence[Expert],
    groups: int,
    least: int,
    mirrored: bool,
    seed: int,
    device: str,
) -> Tensor:
    """The group of each training image within its class, int64 (N,) in [0, groups), on the CPU.

    Groups are k-means clusters of the leading components of what `experts` see, of an image and, if `mirrored`, of its
    mirror image together. Those of fewer than `least` images are dissolved, so a class may have fewer.
    """
    if groups == 1:
        return torch.zeros(len(train), dtype=torch.int64)
    data = put_on_device(train, challenge, torch.device(device))
    x_NP = torch.cat([_components(seen_by(expert, data, mirrored)) for expert in experts], 1)
    return _clusters(x_NP, data.labels, groups, least, seed)


@one_thread()
def _clusters(x_NP: Tensor, labels_N: Tensor, groups: int, least: int, seed: int) -> Tensor:
    """Of each point within its class, int64 (N,), on the CPU."""
    draws = torch.Generator().manual_seed(seed)
    group_N = torch.zeros(len(x_NP), dtype=torch.int64)
    for label in labels_N.unique().tolist():
        members_M = (labels_N == label).nonzero().flatten()
        x_MP = x_NP[members_M]
        centres_GP, group_M = k_means(x_MP, min(groups, len(x_MP)), draws)
        _, group_M = without_small_clusters(x_MP, centres_GP, group_M, members_M, least)
        group_N[members_M.cpu()] = group_M.unique(return_inverse=True)[1].cpu()
    return group_N


def seen_by(expert: Expert, data: DeviceSet, mirrored: bool = False, view: View = PLAIN_VIEW) -> Tensor:
    """What the expert sees of each image in a view, with `mirrored` summed with its mirror image's, float32 (N, F)."""
    norm_relu_pool = choose_norm_relu_pool(data.device, len(data) / 256)
    dtype = fastest_precision(data.device.type)

    @torch.no_grad()  # which holds in the thread that it is said in
    def of_chunk(start: int) -> Tensor:
        x_BCHW = view(data.normalised(slice(start, start + CHUNK)))
        seen_BF = features(x_BCHW, expert.weights, dtype, norm_relu_pool)
        if mirrored:
            seen_BF += features(x_BCHW.flip(3), expert.weights, dtype, norm_relu_pool)
        return seen_BF

    with workers_for(data.device) as workers:
        chunks = range(0, len(data), CHUNK)
        return torch.cat(list(workers.map(of_chunk, chunks) if workers else map(of_chunk, chunks)))


def _components(seen_NF: Tensor) -> Tensor:
    """The leading principal components, of variance 1 in all, (N, P).

    By a randomised method: all axes of 8,192 features, as Tiny-ImageNet has, are minutes of a core.
    """
    centred_NF = seen_NF - seen_NF.mean(0)
    with torch.random.fork_rng(devices=[]):  # the method begins at random vectors
        torch.manual_seed(0)
        _, deviations_P, axes_FP = torch.svd_lowrank(centred_NF, min(_FEATURE_COMPONENTS, *centred_NF.shape), niter=4)
    return centred_NF @ axes_FP * len(centred_NF) ** 0.5 / deviations_P.square().sum().sqrt()


@one_thread()
def start_means(
    train: ImageSet, group_N: Tensor, prototypes: int, least: int, seed: int, device: str
) -> tuple[Tensor, Tensor]:
    """Where prototypes begin: means of training images of one class and group that resemble each other.

    Each group has prototypes as it has images, one at least, and is clustered into so many by coarse pixels. A cluster
    of fewer than `least` images is filled up with the nearest others of its class, so clusters may share images, but no
    two are the same as long as there are others: prototypes that begin alike stay alike.

    Returns means in [0, 1], float32 (C, K, 3, H, W), and the group of each, int64 (C, K).
    Raises ValueError if a class has fewer images than `least`, or more groups than prototypes.
    """
    labels_N = torch.from_numpy(train.labels)
    classes = int(labels_N.max()) + 1
    draws = torch.Generator().manual_seed(seed)
    starts, groups = [], []
    for label in range(classes):
        members_M = (labels_N == label).nonzero().flatten()
        if len(members_M) < least:
            raise ValueError(f"class {label} has {len(members_M)} training images; a prototype begins at {least}")
        x_M3HW = torch.from_numpy(train.images[members_M.numpy()]).to(device).float() / 255
        x_MP = F.adaptive_avg_pool2d(x_M3HW, _COARSE).flatten(1)
        group_M = group_N[members_M].to(device)
        begun: set[frozenset[int]] = set()  # images that a prototype of the class begins at
        for group, count in enumerate(apportioned(prototypes, group_M.bincount().cpu())):
            of_group_m = (group_M == group).nonzero().flatten()
            centres_kP, cluster_m = k_means(x_MP[of_group_m], count, draws)
            for cluster, centre_P in enumerate(centres_kP):
                own_m = of_group_m[cluster_m == cluster]
                distance_M = (x_MP - centre_P).square().sum(1)
                distance_M[own_m] -= distance_M.max() + 1  # its own members first
                nearest_M = distance_M.argsort()
                count_m = max(len(own_m), least)
                while count_m < len(nearest_M) and frozenset(nearest_M[:count_m].tolist()) in begun:
                    count_m += 1
                begun.add(frozenset(nearest_M[:count_m].tolist()))
                starts.append(x_M3HW[nearest_M[:count_m]].mean(0))
                groups.append(group)
    start_CK3HW = torch.stack(starts).unflatten(0, (classes, prototypes))
    return start_CK3HW, torch.tensor(groups).view(classes, prototypes)


def apportioned(total: int, sizes_G: Tensor) -> list[int]:
    """`total` in proportion to `sizes_G`, rounded by largest remainders, at least 1 each.

    Raises ValueError if there are more sizes than `total`.
    """
    if len(sizes_G) > total:
        raise ValueError(
            f"{total} prototypes are fewer than the {len(sizes_G)} groups of a class; ask for fewer groups"
        )
    spare = total - len(sizes_G)
    exact_G = sizes_G.double() / sizes_G.sum() * total
    wanted_G = (exact_G - 1).clamp_min(0)
    wanted_G *= spare / wanted_G.sum().clamp_min(1e-9)
    counts_G = wanted_G.floor().long()
    order_G = (wanted_G - counts_G).argsort(descending=True, stable=True)
    counts_G[order_G[: spare - int(counts_G.sum())]] += 1
    return (counts_G + 1).tolist()
