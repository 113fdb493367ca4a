"""What experts see of real images, against the judge's own network."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
import torch

from evaluation.base.challenge import get_challenge
from evaluation.base.images import ImageSet
from evaluation.judge.convnet import ConvNet
from evaluation.judge.engine import put_on_device
from submission.distillation.experts import Expert
from submission.distillation.targets import Target, targets_for
from submission.distillation.views import View
from tests.submission.distillation.conftest import VIEWS


def test_targets_are_means_of_what_the_judges_network_sees(
    train: ImageSet,
    experts: list[Expert],
    group_N: torch.Tensor,
    targets: list[Target],
) -> None:
    data = put_on_device(train, get_challenge("digits"), torch.device("cpu"))
    views = [(expert.age, view) for expert in experts for view in VIEWS]
    assert [(target.expert.age, target.view) for target in targets] == views
    for target in targets:
        network = ConvNet(10, 32)
        network.load_state_dict(dict(target.expert.weights))
        x_N3HW = data.normalised(slice(None))
        with torch.no_grad():
            seen_NF = network.blocks(target.view(x_N3HW)).flatten(1)
        means_CF = torch.stack([seen_NF[data.labels == label].mean(0) for label in range(10)])
        assert torch.allclose(target.class_means_CF, means_CF, atol=0.03)
        spread = float((means_CF - means_CF.mean(0)).square().sum(1).mean())
        assert target.class_spread == pytest.approx(spread, rel=0.05)
        for group in range(int(group_N.max()) + 1):
            for label in range(10):
                members_N = (data.labels == label) & (group_N == group)
                expected_F = seen_NF[members_N].mean(0) if members_N.any() else torch.zeros(seen_NF.shape[1])
                assert torch.allclose(target.group_means_CGF[label, group].float(), expected_F, atol=0.03)
        assert target.group_spread > target.class_spread


def test_what_is_in_the_folder_is_not_measured_again(
    train: ImageSet,
    experts: list[Expert],
    group_N: torch.Tensor,
    targets: list[Target],
    bank: Path,
) -> None:
    told: list[str] = []

    def again(group_N: torch.Tensor, views: Sequence[View] = VIEWS) -> list[Target]:
        digits = get_challenge("digits")
        return targets_for(
            train, digits, experts, group_N, lambda expert: views, "cpu", bank, lambda f, text: told.append(text)
        )

    written = {path: path.read_bytes() for path in bank.iterdir()}
    found = again(group_N)
    assert not told and len(written) == 6
    assert all(torch.equal(a.group_means_CGF, b.group_means_CGF) for a, b in zip(found, targets, strict=True))
    assert len(again(group_N, VIEWS[:1])) == len(experts) and not told
    again(torch.zeros_like(group_N))
    assert len(told) == 6, "other groups have other means"
    again(torch.zeros_like(group_N), [View(), View("flip")])
    assert len(told) == 9, "and so have other views"
    for path, content in written.items():
        path.write_bytes(content)


def test_within_a_time_there_are_targets_of_the_oldest_experts(
    train: ImageSet, experts: list[Expert], group_N: torch.Tensor, targets: list[Target], tmp_path: Path
) -> None:
    told: list[float] = []
    gone = iter((0.7, 1.1))
    within = targets_for(
        train,
        get_challenge("digits"),
        experts,
        group_N,
        lambda expert: VIEWS,
        "cpu",
        tmp_path,
        lambda fraction, text: told.append(fraction),
        lambda: next(gone),
    )
    assert told == [0.7] and [target.expert.age for target in within] == [3]
    assert within[0].view == View() and torch.equal(within[0].group_means_CGF, targets[4].group_means_CGF)
