"""Views: all images alike, drawn anew for each expert, and none that changes a class."""

from __future__ import annotations

from collections import Counter

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from evaluation.judge.dsa import KINDS, Draw, augment
from submission.distillation.experts import Expert
from submission.distillation.views import View, views_for


@pytest.mark.parametrize("kind", KINDS)
def test_every_image_is_shown_as_the_judge_would_with_the_same_draw(kind: str) -> None:
    x_B3HW = torch.randn(5, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    view = View(kind, (0.1, 0.8, 0.4))
    one_31 = torch.tensor(view.uniforms)[:, None]
    alone_B3HW = torch.cat([augment(x_13HW, Draw(kind, one_31)) for x_13HW in x_B3HW.split(1)])
    torch.testing.assert_close(view(x_B3HW), alone_B3HW)
    assert not torch.equal(view(x_B3HW), x_B3HW)


def test_the_gradient_comes_back_through_a_view() -> None:
    x_B3HW = torch.zeros(1, 3, 32, 32, requires_grad=True)
    four_down = View("crop", (0.0, 0.5, 0.0))
    four_down(x_B3HW)[0, 0, 4, 7].backward()
    assert x_B3HW.grad is not None and x_B3HW.grad.nonzero().tolist() == [[0, 0, 0, 7]]


@given(count=st.integers(0, 20), seed=st.integers(0, 1000), age=st.integers(0, 9))
def test_views_are_drawn_by_expert_every_kind_as_often(count: int, seed: int, age: int) -> None:
    expert = Expert(1, age, {})
    views = views_for(expert, count, seed)
    assert views == views_for(expert, count, seed)
    assert views[0] == View() and len(views) == 1 + count
    kinds = Counter(view.kind for view in views[1:])
    assert set(kinds) <= set(KINDS) - {"flip"}
    assert all(each <= -(-count // 5) for each in kinds.values())
    if count:
        other = views_for(Expert(1, age + 1, {}), 20, seed)
        assert other[1:] != views_for(expert, 20, seed)[1:]
    assert views == views_for(expert, 20, seed)[: count + 1], "more can be asked for later"
