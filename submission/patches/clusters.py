"""k-means within a class, whatever there is to cluster."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

RESTARTS = 4


def cluster(points_ND: NDArray[np.float32], count: int, seed: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """At most `count` clusters of points, fewer where there are fewer different points.

    Returns:
        The cluster of each point, int64 (N,) in [0, K), and the centres, float32 (K, D).
    """
    from sklearn.cluster import KMeans

    count = min(count, len(np.unique(points_ND, axis=0)))
    found = KMeans(count, n_init=RESTARTS, random_state=seed).fit(points_ND)
    return found.labels_.astype(np.int64), found.cluster_centers_.astype(np.float32)
