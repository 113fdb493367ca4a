"""`matched`: the mixtures of `gaussian`, their clusters moved until samples look to networks as real images do.

What `submission.training.mixtures.matched` trains is the middle of each cluster; drawing from them is the same.
"""

from dataclasses import replace

from submission.generators.gaussian import Gaussian


class Matched(Gaussian):
    """Draws a cluster of the label's class, then an image around its mean."""

    info = replace(
        Gaussian.info,
        name="matched",
        summary="gaussian with clusters trained to look to a classifier as real images do; no network in the run",
        useful_ipc={"cifar100": 100},
    )
