"""ConvNetD3-W128, the judge's network (`docs/protocol.md`, "The evaluator, exactly")."""

from threading import Lock

import torch
from torch import Tensor, nn

WIDTH = 128
DEPTH = 3
NORM_EPS = 1e-5
_GLOBAL_GENERATOR = Lock()  # rounds begin in parallel threads, which share PyTorch's global generator


class ConvNet(nn.Module):
    """Three blocks of [Conv 3x3, instance norm, ReLU, AvgPool 2x2], then one linear layer.

    The norm is GroupNorm with as many groups as channels, affine. Initialisation is PyTorch's default. `size` is the
    height and width of an image, pixels, at least 8.
    """

    def __init__(self, classes: int, size: int) -> None:
        super().__init__()
        if size < 2**DEPTH:
            raise ValueError(f"ConvNetD3 halves an image {DEPTH} times, so it needs at least 8x8 pixels, not {size}")
        self.classes, self.size = classes, size
        self.blocks = nn.Sequential(*(self._block(3 if depth == 0 else WIDTH) for depth in range(DEPTH)))
        self.head = nn.Linear(WIDTH * (size // 2**DEPTH) ** 2, classes)

    @staticmethod
    def _block(channels_in: int) -> nn.Sequential:
        return nn.Sequential(
            nn.Conv2d(channels_in, WIDTH, kernel_size=3, padding=1),
            nn.GroupNorm(WIDTH, WIDTH, eps=NORM_EPS, affine=True),
            nn.ReLU(),
            nn.AvgPool2d(2),
        )

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """Normalised images (B, 3, size, size) -> logits (B, classes)."""
        return self.head(self.blocks(x_BCHW).flatten(1))


def seeded_convnet(classes: int, size: int, seed: int) -> ConvNet:
    """A ConvNet on the CPU whose initial weights depend on `seed` alone; the global generator is left as it was."""
    with _GLOBAL_GENERATOR, torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return ConvNet(classes, size)
