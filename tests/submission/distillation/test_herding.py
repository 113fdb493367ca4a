"""An order whose every beginning stands for all."""

from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st

from submission.distillation.herding import herded


@given(st.integers(0, 10_000), st.integers(1, 30))
def test_every_point_once(seed: int, count: int) -> None:
    x_KF = torch.randn(count, 5, generator=torch.Generator().manual_seed(seed))
    assert sorted(herded(x_KF).tolist()) == list(range(count))


def test_a_beginning_has_nearly_the_mean_of_all() -> None:
    x_KF = torch.randn(64, 20, generator=torch.Generator().manual_seed(0))
    ordered_KF = x_KF[herded(x_KF)]
    for count in (8, 16, 32):
        off = (ordered_KF[:count].mean(0) - x_KF.mean(0)).norm()
        assert off < 0.5 * (x_KF[:count].mean(0) - x_KF.mean(0)).norm()
