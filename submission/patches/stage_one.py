"""Stage I: where in an image does knowing its class help a diffusion model most?

The model predicts the noise twice, with the class and without; the difference of the losses at a position says how much
of it belongs to the class. A patch's score is a mean over positions, so one pair of predictions serves all patches.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from submission.contract.pixels import resize_uint8
from submission.contract.seeded import normal
from submission.diffusion.noise_model import NoiseModel

# The part of the schedule that timesteps are drawn from: nearer to the image the class adds nothing to what can be
# seen, nearer to the noise only the layout of the whole image is left.
LOW, HIGH = 0.1, 0.7
# A position counts for a patch as far as its difference is above this fraction of the image's mean.
BACKGROUND = 0.5


def draw_timesteps(count: int, draws: int) -> list[int]:
    """`draws` timesteps, evenly over [LOW, HIGH] of a schedule of `count`; the same for every image."""
    return [round((LOW + (HIGH - LOW) * (draw + 0.5) / draws) * count) for draw in range(draws)]


def difference_maps(model: NoiseModel, images_BCHW: Tensor, labels_B: Tensor, seeds_B: Tensor, draws: int) -> Tensor:
    """Loss without the class minus loss with it, the mean over `draws`, float32 (B, H, W) at the images' own size.

    Both losses of a draw are of the same noise at the same timestep. Images are uint8, at any size.
    """
    z_BCHW = model.encode(resize_uint8(images_BCHW, model.size))
    labels_B, seeds_B = labels_B.to(z_BCHW.device), seeds_B.to(z_BCHW.device)
    both_2B = torch.cat([labels_B, torch.full_like(labels_B, model.null_label)])
    numbers = z_BCHW[0].numel()
    total_BHW = torch.zeros_like(z_BCHW[:, 0])
    for draw, timestep in enumerate(draw_timesteps(len(model.gammas_T), draws)):
        noise_BCHW = normal(seeds_B, numbers, skip=draw * numbers).view_as(z_BCHW)
        gamma = model.gammas_T[timestep]
        noisy_BCHW = gamma.sqrt() * z_BCHW + (1 - gamma).sqrt() * noise_BCHW
        found = model.predict(noisy_BCHW.repeat(2, 1, 1, 1), torch.full_like(both_2B, timestep), both_2B)
        loss_2BHW = (found - noise_BCHW.repeat(2, 1, 1, 1)).square().mean(1)
        with_class, without = loss_2BHW.chunk(2)
        total_BHW += without - with_class
    size = images_BCHW.shape[-2:]
    return F.interpolate(total_BHW[:, None] / draws, size, mode="area")[:, 0].cpu()


def best_regions(maps_BHW: Tensor, sides: Sequence[int]) -> tuple[Tensor, Tensor]:
    """The square of each map that stands out most, of all places and of any of `sides` (pixels), and its mean.

    Of one size it is the square with the highest mean. To compare sizes, a position counts by how far it is above half
    the image's mean, so that background counts against a square. (The paper has patches of one size.)
    """
    background_B = BACKGROUND * maps_BHW.mean((1, 2)).clamp_min(0)
    best_B = torch.full((len(maps_BHW),), -torch.inf)
    boxes_B3 = torch.zeros((len(maps_BHW), 3), dtype=torch.int64)
    scores_B = torch.zeros(len(maps_BHW))
    for side in sorted(sides, reverse=True):
        means_BHW = F.avg_pool2d(maps_BHW[:, None], side, stride=1)[:, 0]
        highest_B, place_B = means_BHW.flatten(1).max(1)
        worth_B = (highest_B - background_B) * side**2
        top_B, left_B = place_B // means_BHW.shape[2], place_B % means_BHW.shape[2]
        found_B3 = torch.stack([top_B, left_B, torch.full_like(top_B, side)], dim=1)
        better_B = worth_B > best_B
        best_B = torch.where(better_B, worth_B, best_B)
        boxes_B3 = torch.where(better_B[:, None], found_B3, boxes_B3)
        scores_B = torch.where(better_B, highest_B, scores_B)
    return boxes_B3, scores_B
