"""The training loop of the small classifiers, and the augmentation that they share."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from evaluation.base.train_classifier import shift_and_mirror, train_classifier
from tests.evaluation.small import small_test, small_train


def test_it_learns_digits_and_reports_every_step() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Flatten(), nn.Linear(3 * 16 * 16, 10))
    images, labels = (torch.from_numpy(each) for each in (small_train(500).images, small_train(500).labels))
    steps: list[int] = []

    def batch_of(index_B: Tensor) -> tuple[Tensor, Tensor]:
        return images[index_B].float() / 255, labels[index_B]

    train_classifier(
        network,
        len(images),
        batch_of,
        np.random.default_rng(0),
        epochs=10,
        batch_size=64,
        peak_lr=0.05,
        on_step=lambda done, loss: steps.append(done),
    )
    assert steps == list(range(1, 71)), "ten epochs of seven whole batches"
    assert not network.training
    predicted = network(torch.from_numpy(small_test().images).float() / 255).argmax(1).numpy()
    assert (predicted == small_test().labels).mean() > 0.8


def test_shifts_are_the_same_for_a_batch_and_mirroring_is_not() -> None:
    x_BCHW = torch.zeros(64, 1, 9, 9)
    x_BCHW[:, :, 4, 3] = 1
    columns, rows = set(), set()
    for seed in range(40):
        shifted = shift_and_mirror(x_BCHW, 2, mirror=False, rng=np.random.default_rng(seed))
        assert torch.equal(shifted, shifted[:1].expand_as(shifted))
        (row, column) = torch.nonzero(shifted[0, 0])[0].tolist()
        rows.add(row)
        columns.add(column)
    assert (rows, columns) == (set(range(2, 7)), set(range(1, 6)))
    mirrored = shift_and_mirror(x_BCHW, 0, mirror=True, rng=np.random.default_rng(0))
    at = mirrored[:, 0, 4].argmax(1)
    assert set(at.tolist()) == {3, 5}
    assert 16 < int((at == 5).sum()) < 48
