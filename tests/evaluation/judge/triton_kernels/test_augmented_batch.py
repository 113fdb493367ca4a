"""The kernel against `dsa.py` in double precision, in Triton's interpreter or on a card; and compiled for cards."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("triton", reason="the kernels are in Triton: pip install triton==3.7.1")

from evaluation.judge.card_kernels import triton_kernels
from evaluation.judge.dsa import KINDS, Draw, augment
from evaluation.judge.engine import DeviceSet
from evaluation.judge.triton_kernels import augmented_batch

DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
ROOT = Path(__file__).parents[4]
# the ends of [0, 1) as well
UNIFORM = st.one_of(st.sampled_from([0.0, 0.5, 1 - 2**-24]), st.floats(0, 1, exclude_max=True, width=32))


def a_set(size: int, normalised: bool = False) -> DeviceSet:
    generator = torch.Generator().manual_seed(size)
    images = torch.randint(256, (5, 3, size, size), dtype=torch.uint8, generator=generator)
    mean, std = (torch.tensor(values, device=DEVICE).view(3, 1, 1) for values in ((0.5, 0.4, 0.3), (0.2, 0.25, 0.3)))
    labels = torch.zeros(5, dtype=torch.int64, device=DEVICE)
    raw = DeviceSet(images.to(DEVICE), labels, mean, std)
    return DeviceSet(raw.normalised(slice(None)), labels, mean, std) if normalised else raw


def test_kinds_have_the_numbers_that_the_kernel_knows() -> None:
    assert [int(getattr(augmented_batch, kind.upper())) for kind in KINDS] == list(range(len(KINDS)))


@settings(max_examples=25)
@given(
    kind=st.sampled_from(KINDS),
    size=st.sampled_from([8, 12, 32, 40]),
    normalised=st.booleans(),
    uniforms=st.lists(UNIFORM, min_size=6, max_size=6),
)
def test_every_augmentation_is_that_of_the_definition(
    kind: str, size: int, normalised: bool, uniforms: list[float]
) -> None:
    train, index_B = a_set(size, normalised), torch.tensor([4, 1], device=DEVICE)
    uniforms_3B = torch.tensor(uniforms, device=DEVICE).view(3, 2)
    code = torch.tensor(KINDS.index(kind), dtype=torch.int32, device=DEVICE)
    found = triton_kernels(size).augmented(train, index_B, uniforms_3B, code, torch.float32)
    images = train.images[index_B].double()
    exact = images if normalised else (images / 255 - train.mean) / train.std
    expected = augment(exact, Draw(kind, uniforms_3B))
    assert found.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(found.double(), expected, atol=1e-4, rtol=1e-4)


def test_uniforms_of_a_part_of_a_pass_are_read_where_they_are() -> None:
    train, index_B = a_set(8), torch.tensor([0, 3], device=DEVICE)
    of_pass = torch.rand(3, 9, generator=torch.Generator().manual_seed(1)).to(DEVICE)
    part, code = of_pass[:, 4:6], torch.tensor(0, dtype=torch.int32, device=DEVICE)
    kernel = triton_kernels(8).augmented
    assert torch.equal(
        kernel(train, index_B, part, code, torch.bfloat16), kernel(train, index_B, part.clone(), code, torch.bfloat16)
    )


_COMPILE = """
import sys
from triton import compile
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource
from evaluation.judge.triton_kernels import augmented_batch, norm_relu_pool

def compiled(function, constants, types):
    names = function.arg_names
    signature = {name: types.get(name, "constexpr" if name in constants else "*fp32") for name in names}
    source = ASTSource(function, signature, {(names.index(name),): value for name, value in constants.items()})
    return compile(source, target=GPUTarget("cuda", int(sys.argv[1]), 32), options={"num_warps": 8}).asm["cubin"]

shape = dict(CHANNELS=128, HEIGHT=32, WIDTH=32, SQUARES=256, PART=16)
bf16 = dict.fromkeys(("y_ptr", "pooled_ptr", "gradient_ptr", "dy_ptr"), "*bf16")
assert compiled(norm_relu_pool._forward, shape, {**bf16, "eps": "fp32"})
assert compiled(norm_relu_pool._backward, shape, bf16)
batch = dict(SIZE=32, RAW=True, BLOCK=1024, REACH=4, SIDE=16, RATIO=1.2, ANGLE=0.26)
pointers = dict(images_ptr="*u8", index_ptr="*i64", kind_ptr="*i32", uniforms_stride="i32", out_ptr="*bf16")
assert compiled(augmented_batch._augmented, batch, pointers)
"""


@pytest.mark.slow
@pytest.mark.parametrize("capability", ["80", "86", "89", "90"])
def test_the_kernels_compile_for_cards(capability: str, tmp_path: Path) -> None:
    """Ampere, Ada and Hopper; Triton needs no card for that."""
    env = {**os.environ, "TRITON_INTERPRET": "0", "TRITON_CACHE_DIR": str(tmp_path), "PYTHONPATH": str(ROOT)}
    file = tmp_path / "compiles.py"
    file.write_text(_COMPILE, encoding="utf-8")
    subprocess.run([sys.executable, file, capability], env=env, check=True, timeout=300)
