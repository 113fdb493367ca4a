"""DSA on batches against an implementation written apart from it, one image and one pixel at a time."""

from __future__ import annotations

from math import cos, floor, pi, sin

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from evaluation.judge.dsa import KINDS, UNIFORMS, Draw, augment, draw

Image = NDArray[np.float64]  # (3, H, W)
SIZES = (8, 9, 15, 32)
ALMOST_ONE = float(np.nextafter(np.float32(1), np.float32(0)))


def one_color(image: Image, u: list[float]) -> Image:
    image = image + (u[0] - 0.5) * 1.0
    grey = image.mean(axis=0)
    image = (image - grey) * (2.0 * u[1]) + grey
    return (image - image.mean()) * (u[2] + 0.5) + image.mean()


def one_crop(image: Image, u: list[float]) -> Image:
    size = image.shape[1]
    reach = int(0.125 * size + 0.5)
    down, right = (floor(v * (2 * reach + 1)) - reach for v in u[:2])
    result = np.zeros_like(image)
    for row in range(size):
        for column in range(size):
            if 0 <= row + down < size and 0 <= column + right < size:
                result[:, row, column] = image[:, row + down, column + right]
    return result


def one_cutout(image: Image, u: list[float]) -> Image:
    size = image.shape[1]
    side = int(0.5 * size + 0.5)
    offsets = [floor(v * (size + (1 if side % 2 == 0 else 0))) for v in u[:2]]
    rows, columns = ([min(max(o - side // 2 + k, 0), size - 1) for k in range(side)] for o in offsets)
    result = image.copy()
    for row in rows:
        for column in columns:
            result[:, row, column] = 0
    return result


def one_flip(image: Image, u: list[float]) -> Image:
    return image[:, :, ::-1] if u[0] < 0.5 else image


def sampled(image: Image, matrix: tuple[tuple[float, float], tuple[float, float]]) -> Image:
    """Bilinear sampling at `matrix` times the centred pixel coordinates, zero outside."""
    size = image.shape[1]
    result = np.zeros_like(image)
    for row in range(size):
        for column in range(size):
            x, y = (2 * column + 1) / size - 1, (2 * row + 1) / size - 1
            column_at = ((matrix[0][0] * x + matrix[0][1] * y + 1) * size - 1) / 2
            row_at = ((matrix[1][0] * x + matrix[1][1] * y + 1) * size - 1) / 2
            for r in (floor(row_at), floor(row_at) + 1):
                for c in (floor(column_at), floor(column_at) + 1):
                    if 0 <= r < size and 0 <= c < size:
                        share = (1 - abs(row_at - r)) * (1 - abs(column_at - c))
                        result[:, row, column] += share * image[:, r, c]
    return result


def one_scale(image: Image, u: list[float]) -> Image:
    sx, sy = (1 / 1.2 + v * (1.2 - 1 / 1.2) for v in u[:2])
    return sampled(image, ((sx, 0.0), (0.0, sy)))


def one_rotate(image: Image, u: list[float]) -> Image:
    angle = (-15 + 30 * u[0]) * pi / 180
    return sampled(image, ((cos(angle), -sin(angle)), (sin(angle), cos(angle))))


ONE_IMAGE = {
    "color": one_color,
    "crop": one_crop,
    "cutout": one_cutout,
    "flip": one_flip,
    "scale": one_scale,
    "rotate": one_rotate,
}


def images(batch: int, size: int) -> torch.Tensor:
    return torch.randn(batch, 3, size, size, generator=torch.Generator().manual_seed(size))


def assert_as_one_by_one(kind: str, x: torch.Tensor, uniforms: torch.Tensor) -> None:
    result = augment(x, Draw(kind, uniforms))
    assert result.dtype == x.dtype
    for index, image in enumerate(x.double().numpy()):
        expected = ONE_IMAGE[kind](image, uniforms[:, index].tolist())
        np.testing.assert_allclose(result[index].numpy(), expected, atol=2e-5, err_msg=f"{kind}, image {index}")


def test_the_six_of_the_protocol() -> None:
    assert KINDS == ("color", "crop", "cutout", "flip", "scale", "rotate")


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("kind", KINDS)
def test_batch_is_as_one_by_one(kind: str, size: int) -> None:
    drawn = draw(5, torch.Generator().manual_seed(1))
    assert_as_one_by_one(kind, images(5, size), drawn.uniforms)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("kind", KINDS)
def test_extreme_draws(kind: str, size: int) -> None:
    corners = torch.tensor(
        [[0.0, 0.0, ALMOST_ONE, ALMOST_ONE], [0.0, ALMOST_ONE, 0.0, ALMOST_ONE], [0.0, ALMOST_ONE, 0.0, 0.5]]
    )
    assert_as_one_by_one(kind, images(4, size), corners)


@settings(max_examples=25, deadline=None)
@given(
    kind=st.sampled_from(KINDS),
    size=st.integers(8, 20),
    uniforms=st.lists(st.floats(0, ALMOST_ONE, width=32), min_size=UNIFORMS, max_size=UNIFORMS),
)
def test_any_draw(kind: str, size: int, uniforms: list[float]) -> None:
    assert_as_one_by_one(kind, images(1, size), torch.tensor(uniforms).view(UNIFORMS, 1))


@pytest.mark.parametrize("size", [31, 32, 64])
def test_crop_reaches_every_shift_and_no_other(size: int) -> None:
    reach = int(0.125 * size + 0.5)
    uniforms = draw(4000, torch.Generator().manual_seed(2)).uniforms
    column = torch.arange(1.0, size + 1).expand(4000, 3, size, size)
    middle = augment(column, Draw("crop", uniforms)).amax((1, 2))[:, size // 2] - (size // 2 + 1)
    assert set(middle.int().tolist()) == set(range(-reach, reach + 1))


@pytest.mark.parametrize("size", range(8, 65))
def test_cutout_zeroes_the_coordinates_that_the_protocol_clamps_into_the_image(size: int) -> None:
    """For every offset: cutting the square off at the border zeroes the same rows as clamping its coordinates."""
    side = int(0.5 * size + 0.5)
    offsets = range(size + 1 - side % 2)
    middles = (torch.tensor(offsets) + 0.5) / len(offsets)  # of the interval of uniforms that gives each offset
    uniforms = torch.stack([middles, torch.zeros(len(offsets)), torch.zeros(len(offsets))])
    column_BP = augment(torch.ones(len(offsets), 3, size, size), Draw("cutout", uniforms))[:, 0, :, 0]
    for offset, column_P in zip(offsets, column_BP, strict=True):
        clamped = {min(max(offset - side // 2 + k, 0), size - 1) for k in range(side)}
        assert set(torch.nonzero(column_P == 0)[:, 0].tolist()) == clamped


def test_cutout_over_the_border_always_zeroes_the_border() -> None:
    corner = augment(torch.ones(1, 3, 32, 32), Draw("cutout", torch.zeros(3, 1)))[0, 0]
    assert corner[:8, :8].sum() == 0
    assert corner.sum() == 32 * 32 - 8 * 8
    # The offset may be `size` when the side is even: then the square's rows start at 24 and end at the border.
    opposite = augment(torch.ones(1, 3, 32, 32), Draw("cutout", torch.full((3, 1), ALMOST_ONE)))[0, 0]
    assert opposite[24:, 24:].sum() == 0
    assert opposite.sum() == 32 * 32 - 8 * 8


def test_draws_are_uniform_and_reproducible() -> None:
    generator = torch.Generator().manual_seed(3)
    drawn = [draw(64, generator) for _ in range(1200)]
    counts = [sum(each.kind == kind for each in drawn) for kind in KINDS]
    assert all(150 < count < 250 for count in counts), counts
    uniforms = torch.cat([each.uniforms for each in drawn], dim=1)
    assert uniforms.shape == (UNIFORMS, 1200 * 64)
    assert uniforms.min() >= 0
    assert uniforms.max() < 1
    torch.testing.assert_close(uniforms.mean(1), torch.full((UNIFORMS,), 0.5), atol=0.005, rtol=0)
    again = draw(64, torch.Generator().manual_seed(3))
    assert again.kind == drawn[0].kind
    assert torch.equal(again.uniforms, drawn[0].uniforms)


@pytest.mark.parametrize("size", [9, 32])
@pytest.mark.parametrize("kind", KINDS)
def test_half_and_double_types_keep_their_type(kind: str, size: int) -> None:
    x = images(3, size)
    uniforms = draw(3, torch.Generator().manual_seed(4)).uniforms
    expected = augment(x, Draw(kind, uniforms))
    torch.testing.assert_close(augment(x.double(), Draw(kind, uniforms)).float(), expected, atol=1e-4, rtol=1e-4)
