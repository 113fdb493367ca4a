"""Training as the published evaluator does it, for comparison: written from `docs/protocol.md`, not copied.

It gives the same distribution of accuracies as the judge. What makes it slow is kept: images are indexed one by one,
each rotation and scale matrix is made in a loop over images, and the host waits for the device at every step.
"""

from __future__ import annotations

from math import cos, pi, sin

import torch
import torch.nn.functional as F
from torch import Tensor

from evaluation.judge.convnet import seeded_convnet
from evaluation.judge.dsa import Draw, augment, draw
from evaluation.judge.engine import DeviceSet
from evaluation.judge.protocol import Protocol


class PublishedTrainer:
    """Trains one network; each step returns its loss and hits as host numbers."""

    def __init__(self, train: DeviceSet, classes: int, protocol: Protocol) -> None:
        every = slice(None)
        self.images, self.labels = train.normalised(every), train.labels
        self.net = seeded_convnet(classes, train.size, seed=0).to(train.device)
        self.optimiser = torch.optim.SGD(
            self.net.parameters(), lr=protocol.lr, momentum=protocol.momentum, weight_decay=protocol.weight_decay
        )

    def step(self, index: list[int]) -> tuple[float, int]:
        x_BCHW = torch.stack([self.images[i] for i in index])
        labels_B = torch.stack([self.labels[i] for i in index])
        logits = self.net(self._augment(x_BCHW))
        loss = F.cross_entropy(logits, labels_B)
        self.optimiser.zero_grad()
        loss.backward()
        self.optimiser.step()
        return loss.item(), int((logits.argmax(1) == labels_B).sum().item())

    def _augment(self, x_BCHW: Tensor) -> Tensor:
        drawn = draw(len(x_BCHW), torch.Generator().manual_seed(int(torch.randint(2**31, ()))))
        if drawn.kind in ("scale", "rotate"):
            return self._by_matrices(x_BCHW, drawn)
        return augment(x_BCHW, Draw(drawn.kind, drawn.uniforms.to(x_BCHW.device)))

    @staticmethod
    def _by_matrices(x_BCHW: Tensor, drawn: Draw) -> Tensor:
        theta = []
        for u, v, _ in drawn.uniforms.T.tolist():
            if drawn.kind == "scale":
                sx, sy = (w * (1.2 - 1 / 1.2) + 1 / 1.2 for w in (u, v))
                theta.append([[sx, 0.0, 0.0], [0.0, sy, 0.0]])
            else:
                angle = (u - 0.5) * 30 * pi / 180
                theta.append([[cos(angle), -sin(angle), 0.0], [sin(angle), cos(angle), 0.0]])
        grid = F.affine_grid(torch.tensor(theta, device=x_BCHW.device), list(x_BCHW.shape), align_corners=False)
        return F.grid_sample(x_BCHW, grid, align_corners=False)
