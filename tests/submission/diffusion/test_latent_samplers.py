"""What samplers ask of the host: on a card every copy and every wait holds up the next step."""

from __future__ import annotations

from functools import partialmethod
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from benchmarks.models.dit import SCHEDULE
from submission.contract.pixels import to_uint8
from submission.diffusion import samplers
from submission.diffusion.guidance import denoise_guided
from submission.diffusion.latent_samplers import SOLVERS, build_scheduler, sample
from submission.diffusion.networks.denoiser import Denoiser
from submission.diffusion.text_model import PromptTable
from submission.generators.sdxl_turbo import SdxlTurbo
from submission.worker.source import compile_networks
from tests.device_traffic import CARD, Watch

STEPS = 10


def on_card(draw: int) -> Tensor:
    return torch.randn(2, 4, 8, 8, device=CARD)


def shrunk(z_BCHW: Tensor, t: int) -> tuple[Tensor, Tensor | None]:
    """A prediction that depends on latents and timestep, without a variance."""
    return torch.tanh(z_BCHW * (t + 1) / 1000), None


@pytest.mark.parametrize("solver", SOLVERS)
def test_no_sampler_of_latents_asks_the_host(solver: str) -> None:
    with Watch() as watch:
        made = sample(shrunk, SCHEDULE, solver, STEPS, on_card)
    assert made.device == CARD
    assert watch.traffic.copies == watch.traffic.waits == watch.traffic.host_operands == []


def test_what_diffusers_unipc_asks_of_the_host_is_noticed() -> None:
    """Else the test above could not fail."""
    scheduler = build_scheduler("unipc", SCHEDULE)
    scheduler.set_timesteps(STEPS)
    z = on_card(0)
    with Watch() as watch:
        for t in scheduler.timesteps.tolist():
            z = scheduler.step(shrunk(z, t)[0], t, z).prev_sample
    assert len(watch.traffic.copies) > STEPS


@pytest.mark.parametrize("steps", [1, 3, STEPS])
def test_unipc_is_that_of_diffusers(steps: int) -> None:
    noise = torch.randn(2, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    scheduler = build_scheduler("unipc", SCHEDULE)
    scheduler.set_timesteps(steps)
    expected = noise
    for t in scheduler.timesteps.tolist():
        expected = scheduler.step(shrunk(expected, t)[0], t, expected).prev_sample
    made = sample(shrunk, SCHEDULE, "unipc", steps, lambda draw: noise)
    torch.testing.assert_close(made, expected, atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize("solver", samplers.SOLVERS)
@pytest.mark.parametrize("guidance", [1.0, 2.0])
def test_no_sampler_of_pixels_asks_the_host(solver: str, guidance: float) -> None:
    class Network(nn.Module):
        classes = 10

        def forward(self, x: Tensor, noise_B: Tensor, labels_B: Tensor, augment: None) -> Tensor:
            return x * noise_B[:, None, None, None]

    denoiser: Denoiser[Any] = Denoiser(Network())
    labels_B = torch.zeros(2, dtype=torch.int64, device=CARD)
    with Watch() as watch:
        samplers.sample(solver, lambda x, s: denoise_guided(denoiser, x, s, labels_B, guidance), on_card(0), STEPS)
    assert watch.traffic.copies == watch.traffic.waits == watch.traffic.host_operands == []


class Unet(nn.Module):
    """Takes what SDXL's U-Net takes."""

    def forward(self, z: Tensor, timestep: Tensor, context: Tensor, **_: Any) -> tuple[Tensor]:
        return (z * torch.as_tensor(timestep, device=z.device).view(-1, 1, 1, 1) / 1000 + context.mean(),)


class Autoencoder(nn.Module):
    dtype = torch.float32
    config = SimpleNamespace(scaling_factor=1.0)

    def __init__(self) -> None:
        super().__init__()
        self.decoder = nn.Identity()

    def decode(self, z: Tensor, return_dict: bool) -> tuple[Tensor]:
        return (z[:, :3],)


def turbo(device: torch.device) -> SdxlTurbo:
    first_C, count_C = torch.zeros(10, dtype=torch.int64), torch.ones(10, dtype=torch.int64)
    table = PromptTable(torch.randn(1, 2, 4), torch.randn(1, 4), first_C, count_C)
    moved = PromptTable(**{name: tensor.to(device) for name, tensor in vars(table).items()})
    autoencoder = Autoencoder()

    def decode(z_BCHW: Tensor) -> Tensor:
        return to_uint8(autoencoder.decode(z_BCHW, False)[0])

    decode.autoencoder = autoencoder  # type: ignore[attr-defined]
    return SdxlTurbo(Unet(), decode, moved, torch.linspace(0.03, 14.6, 1000).double(), 64)  # type: ignore[arg-type]


def test_sdxl_turbo_copies_labels_and_seeds_whatever_the_steps() -> None:
    generator = turbo(CARD)
    for steps in (1, 4):
        with Watch() as watch:
            generator.generate(torch.arange(3), torch.arange(3), steps)
        assert len(watch.traffic.copies) == 2
        assert watch.traffic.waits == watch.traffic.host_operands == []


def test_sdxl_turbo_is_compiled_once_for_all_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    graphs: list[torch.fx.GraphModule] = []

    def counting(graph: torch.fx.GraphModule, inputs: list[Tensor], **options: object) -> Any:
        graphs.append(graph)
        return graph.forward

    monkeypatch.setattr(nn.Module, "compile", partialmethod(nn.Module.compile, backend=counting))
    generator = turbo(torch.device("cpu"))
    compile_networks(generator)
    for steps in (1, 2, 4):
        generator.generate(torch.arange(3), torch.arange(3), steps)
    assert len(graphs) == 1
