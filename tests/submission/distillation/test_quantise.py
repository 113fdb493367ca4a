"""Storage in 8 bits: what comes back, gradients through it, and an order whose every beginning stands for all."""

from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from submission.distillation.quantise import Quantiser, herded
from submission.generators.distilled import StoredPrototypes

SIZE = 4  # pixels a side: 48 levels an image


def prototypes(seed: int, count: int = 60) -> torch.Tensor:
    """Smooth images of some contrast, in levels of 255."""
    draws = torch.Generator().manual_seed(seed)
    mixing = torch.randn(12, 3 * SIZE * SIZE, generator=draws) * torch.logspace(1.5, -1, 12)[:, None]
    return (128 + torch.randn(3, count // 3, 12, generator=draws) @ mixing).view(3, -1, 3, SIZE, SIZE)


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 10_000), st.integers(1, 12))
def test_what_was_stored_is_stored_the_same_again(seed: int, components: int) -> None:
    quantiser = Quantiser.fit(prototypes(seed), components)
    draws = torch.Generator().manual_seed(seed)
    codes_CKP = torch.randint(-127, 128, (2, 5, len(quantiser.scales_P)), generator=draws).to(torch.int8)
    stored = StoredPrototypes(quantiser.mean_D, quantiser.basis_PD, quantiser.scales_P, codes_CKP)
    assert torch.equal(quantiser.stored(stored.decode()).codes_CKP, codes_CKP)


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 10_000))
def test_with_all_components_little_is_lost(seed: int) -> None:
    x_CK3HW = prototypes(seed)
    back_CK3HW = Quantiser.fit(x_CK3HW, 48).stored(x_CK3HW).decode()
    error = (back_CK3HW - x_CK3HW).square().mean().sqrt()
    assert error < 0.02 * x_CK3HW.std()
    fewer = Quantiser.fit(x_CK3HW, 3).stored(x_CK3HW).decode()
    assert (fewer - x_CK3HW).square().mean().sqrt() > error


def test_the_gradient_is_that_of_storage_without_rounding() -> None:
    x_CK3HW = prototypes(0).double().requires_grad_()
    quantiser = Quantiser.fit(prototypes(0), 5)
    inside_CKP = (x_CK3HW.flatten(2) - quantiser.mean_D.double()) @ quantiser.inverse.double()
    back = (quantiser.mean_D.double() + inside_CKP @ quantiser.basis_PD.double()).view_as(x_CK3HW)
    weight_CK3HW = torch.randn(x_CK3HW.shape, generator=torch.Generator().manual_seed(1)).double()
    (expected,) = torch.autograd.grad((back * weight_CK3HW).sum(), x_CK3HW)
    assert torch.allclose(quantiser.gradient(weight_CK3HW.float()).double(), expected, atol=1e-4)


def test_a_file_holds_what_the_quantiser_computes_with() -> None:
    quantiser = Quantiser.fit(prototypes(0), 8)
    for tensor in (quantiser.mean_D, quantiser.scales_P):
        assert torch.equal(tensor.half().float(), tensor), "half precision on disk changes nothing"
    assert quantiser.basis_PD.dtype == torch.int8
    again = Quantiser(**quantiser.state())
    assert torch.equal(again.stored(prototypes(0)).decode(), quantiser.stored(prototypes(0)).decode())


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
