"""Storage: what comes back, in how many bytes, and files that are none."""

from __future__ import annotations

import lzma
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from submission.distillation.stored import StoredPrototypes, _transforms, step_for

SIZE = 8


def prototypes(seed: int, count: int = 60) -> torch.Tensor:
    """Smooth images with faint fine detail, in levels of 255."""
    draws = torch.Generator().manual_seed(seed)
    coarse = 40 * torch.randn(3, count // 3, 3, 2, 2, generator=draws).repeat_interleave(4, 3).repeat_interleave(4, 4)
    return 120 + coarse + 3 * torch.randn(3, count // 3, 3, SIZE, SIZE, generator=draws)


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 10_000), st.sampled_from([0.1, 1.0, 4.7, 100.0]))
def test_what_was_stored_is_stored_the_same_again(seed: int, step: float) -> None:
    stored = StoredPrototypes.nearest(prototypes(seed, 6), step)
    assert torch.equal(StoredPrototypes.nearest(stored.decode(), step).codes_CK3HW, stored.codes_CK3HW)


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 10_000), st.sampled_from([0.5, 2.0, 8.0]))
def test_the_error_is_that_of_rounding_to_the_step(seed: int, step: float) -> None:
    x_CK3HW = prototypes(seed)
    off_CK3HW = StoredPrototypes.nearest(x_CK3HW, step).decode() - x_CK3HW
    assert off_CK3HW.square().mean().sqrt() < 1.15 * step / 12**0.5
    assert off_CK3HW.abs().max() <= 0.6 * step * (3 * SIZE**2) ** 0.5


@settings(deadline=None, max_examples=50)
@given(st.data())
def test_files_hold_all_codes(data: st.DataObject) -> None:
    shape = (data.draw(st.integers(1, 3)), data.draw(st.integers(1, 4)), 3, *[data.draw(st.integers(1, 4))] * 2)
    largest = data.draw(st.sampled_from([0, 1, 127, 128, 255, 256, 32767]))
    draws = torch.Generator().manual_seed(data.draw(st.integers(0, 1000)))
    codes = torch.randint(-largest, largest + 1, shape, generator=draws).to(torch.int16)
    again = StoredPrototypes.unpack(StoredPrototypes(codes, 0.375).packed(), codes.numel())
    assert torch.equal(again.codes_CK3HW, codes) and again.step == 0.375
    assert again.codes_CK3HW.is_contiguous()


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 10_000))
def test_decoding_sums_in_any_order_to_the_same_bits(seed: int) -> None:
    """So that another machine, which sums in another, makes images of the same hash."""
    stored = StoredPrototypes.nearest(prototypes(seed, 6), 1.3)
    colours, cosines = _transforms(torch.zeros(SIZE, dtype=torch.float64))
    backwards = torch.arange(SIZE - 1, -1, -1)
    x = stored.codes_CK3HW[..., backwards, :][..., backwards].double() * 1.3
    x = torch.einsum("dc,nkdhw->nkchw", colours.flip(0), x.flip(2))
    other = (cosines[backwards].t() @ (x @ cosines[backwards]) + 128).float()
    assert torch.equal(stored.decode(), other)
    assert torch.equal(StoredPrototypes(stored.codes_CK3HW[1:2].flip(1), 1.3).decode(), other[1:2].flip(1))


@pytest.mark.parametrize("bytes_each", [30, 80, 150])
def test_a_prototype_takes_about_the_bytes_that_were_asked_for(bytes_each: int, tmp_path: Path) -> None:
    x_CK3HW = prototypes(1, 1500)
    step = step_for(x_CK3HW, bytes_each)
    assert float(torch.tensor(step).half()) == step, "half precision in the file changes nothing"
    save_file(StoredPrototypes.nearest(x_CK3HW, step).packed(), tmp_path / "some.safetensors")
    size = (tmp_path / "some.safetensors").stat().st_size
    assert 0.85 * 1500 * bytes_each < size < 1.05 * 1500 * bytes_each + 300
    again = StoredPrototypes.unpack(load_file(tmp_path / "some.safetensors"), x_CK3HW.numel())
    assert torch.equal(again.decode(), StoredPrototypes.nearest(x_CK3HW, step).decode())


@pytest.mark.parametrize("bytes_each", [30, 60])
def test_rounding_towards_zero_loses_less_in_as_many_bytes(bytes_each: int) -> None:
    x_CK3HW = prototypes(3, 1500)
    ours = StoredPrototypes.nearest(x_CK3HW, step_for(x_CK3HW, bytes_each))
    x = x_CK3HW.double() - 128
    colours, cosines = _transforms(x)
    exact = cosines @ torch.einsum("dc,...chw->...dhw", colours, x) @ cosines.t()
    step = ours.step
    while packed_bytes(StoredPrototypes((exact / step).round().to(torch.int16), step)) > packed_bytes(ours):
        step *= 1.01
    to_nearest = StoredPrototypes((exact / step).round().to(torch.int16), step)
    lost, lost_to_nearest = ((kept.decode() - x_CK3HW).square().mean().sqrt() for kept in (ours, to_nearest))
    assert lost < 0.985 * lost_to_nearest


def packed_bytes(stored: StoredPrototypes) -> int:
    return len(stored.packed()["packed"])


def test_fine_detail_survives_in_a_third_of_the_bytes() -> None:
    x_CK3HW = prototypes(2, 1500)
    back = StoredPrototypes.nearest(x_CK3HW, step_for(x_CK3HW, SIZE**2)).decode()
    detail, kept = (x - x.mean((3, 4), keepdim=True) for x in (x_CK3HW[..., :4, :4], back[..., :4, :4]))
    assert float((detail * kept).sum() / detail.norm() / kept.norm()) > 0.8


def test_files_of_something_else_or_damaged_are_refused() -> None:
    whole = StoredPrototypes.nearest(prototypes(0, 6), 1.0).packed()
    most = 6 * 3 * SIZE**2
    packed = whole["packed"]
    damaged = packed.clone()
    damaged[len(packed) // 2] ^= 1
    bomb = torch.frombuffer(bytearray(lzma.compress(bytes(10_000_000))), dtype=torch.uint8)
    for wrong in (
        {"codes": packed},
        whole | {"packed": damaged},
        whole | {"packed": packed[: len(packed) // 2]},
        whole | {"packed": packed[:-8]},
        whole | {"packed": bomb},
        whole | {"packed": packed[:0]},
        whole | {"shape": torch.tensor([3, 1, 3, SIZE, SIZE])},
        whole | {"shape": torch.tensor([3, 2, 3, SIZE, SIZE + 1])},
        whole | {"shape": torch.tensor([-3, -2, 3, SIZE, SIZE])},
        whole | {"shape": torch.tensor([], dtype=torch.int64)},
        whole | {"shape": torch.tensor(7)},
        whole | {"shape": whole["shape"].double()},
        whole | {"step": torch.tensor(float("nan"), dtype=torch.float64)},
        whole | {"step": torch.tensor(0.0, dtype=torch.float64)},
        whole | {"packed": packed.int()},
    ):
        with pytest.raises(ValueError, match="prototypes"):
            StoredPrototypes.unpack(wrong, most)
    with pytest.raises(ValueError, match="cannot have the shape"):
        StoredPrototypes.unpack(whole, most - 1)
