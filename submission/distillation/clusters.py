"""Clusters of the images of a class, none of them small."""

import torch
import torch.nn.functional as F
from torch import Tensor


def k_means(x_NP: Tensor, clusters: int, generator: torch.Generator, rounds: int = 30) -> tuple[Tensor, Tensor]:
    """Lloyd's algorithm from k-means++ seeds (Arthur and Vassilvitskii, 2007): centres (K, P), clusters int64 (N,)."""
    chosen = [int(torch.randint(len(x_NP), (), generator=generator))]
    for _ in range(clusters - 1):
        nearest_N = torch.cdist(x_NP, x_NP[chosen]).amin(1).square().cpu().double() + 1e-12
        chosen.append(int(torch.multinomial(nearest_N, 1, generator=generator)))
    centres_KP = x_NP[chosen]
    cluster_N = torch.cdist(x_NP, centres_KP).argmin(1)
    for _ in range(rounds):
        members_KN = F.one_hot(cluster_N, clusters).t().to(x_NP.dtype)
        counts_K1 = members_KN.sum(1, keepdim=True)
        centres_KP = torch.where(counts_K1 > 0, members_KN @ x_NP / counts_K1.clamp_min(1), centres_KP)
        moved_N = torch.cdist(x_NP, centres_KP).argmin(1)
        if torch.equal(moved_N, cluster_N):
            break
        cluster_N = moved_N
    return centres_KP, cluster_N


def without_small_clusters(
    x_NP: Tensor, centres_KP: Tensor, cluster_N: Tensor, distinct_N: Tensor, least: int
) -> tuple[Tensor, Tensor]:
    """Dissolves the smallest cluster into its neighbours until each has `least` distinct images, or one is left.

    `distinct_N` says which image a point is of; a mirror image is the same one. Returns centres (K, P), dissolved ones
    meaningless, and the cluster of each point, int64 (N,).
    """
    stale = cluster_N.unique()  # k-means may have ended before its centres are the means
    while True:
        present = cluster_N.unique()
        pairs = torch.stack([cluster_N, distinct_N], 1).unique(dim=0)
        sizes = pairs[:, 0].bincount(minlength=len(centres_KP))[present]
        if len(present) == 1 or int(sizes.min()) >= least:
            return centres_KP, cluster_N
        smallest = present[sizes.argmin()]
        others = present[present != smallest]
        moved = cluster_N == smallest
        cluster_N = cluster_N.clone()
        cluster_N[moved] = others[torch.cdist(x_NP[moved], centres_KP[others]).argmin(1)]
        centres_KP = centres_KP.clone()
        for k in torch.cat([stale[stale != smallest], cluster_N[moved]]).unique():
            centres_KP[k] = x_NP[cluster_N == k].mean(0)
        stale = stale[:0]
