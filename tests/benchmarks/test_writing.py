"""Writing beside a busy generator, rehearsed."""

from __future__ import annotations

import numpy as np

from benchmarks.images.writing import measured, shipped_images, works


def test_files_are_counted_beside_every_kind_of_work() -> None:
    images_BHWC = shipped_images(8)
    assert images_BHWC.shape == (8, 64, 64, 3) and images_BHWC.dtype == np.uint8
    for name, work in works().items():
        found = measured(work, images_BHWC, wanted=100, repeats=1, seconds=0.3)
        assert found["alone"]["files_per_s"] == 0 and found["alone"]["kept"] == 1, name
        assert 0 < found["wanted"]["files_per_s"] <= 150, name
        assert found["most"]["files_per_s"] > 0 and found["most"]["kept"] > 0, name
