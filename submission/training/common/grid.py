"""Sample grids as PNG."""

from __future__ import annotations

from pathlib import Path

from torch import Tensor

from evaluation.base.files import written_whole


def save_grid(path: Path, images_B3HW: Tensor, columns: int) -> None:
    """Images (uint8) side by side, `columns` in a row; their number is a multiple of `columns`."""
    from PIL import Image

    B, _, H, W = images_B3HW.shape
    rows = images_B3HW.cpu().view(B // columns, columns, 3, H, W).permute(0, 3, 1, 4, 2)
    with written_whole(path) as part:
        Image.fromarray(rows.reshape(B // columns * H, columns * W, 3).numpy()).save(part, format="PNG")
