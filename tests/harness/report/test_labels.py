import numpy as np
from matplotlib.figure import Figure

from harness.report.labels import Named, place_names
from harness.report.style import NARROW, new_figure, plain_axes


def test_names_cover_neither_points_nor_each_other() -> None:
    draw = np.random.default_rng(0)
    points = [Named(x, y, f"method {number}", "#000000") for number, (x, y) in enumerate(draw.uniform(0, 1, (9, 2)))]

    def drawn(figure: Figure) -> None:
        axes = plain_axes(figure)
        axes.set_xlim(-0.1, 1.1)
        axes.set_ylim(-0.1, 1.1)
        place_names(axes, points)
        figure.draw_without_rendering()
        boxes = [text.get_window_extent() for text in axes.texts]
        assert [text.get_text() for text in axes.texts] == [point.text for point in points]
        for number, box in enumerate(boxes):
            assert not any(box.overlaps(other) for other in boxes[:number])
            inside = [box.contains(*axes.transData.transform((point.x, point.y))) for point in points]
            assert not any(inside)

    new_figure(2 * NARROW, NARROW, drawn)
