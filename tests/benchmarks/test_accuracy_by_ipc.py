from pathlib import Path

from PIL import Image

from benchmarks.accuracy_by_ipc import draw, read_curves, table
from evaluation.base.challenge import get_challenge
from evaluation.curve.curve import Curve, CurvePoint, save_curve
from harness.report.published import PUBLISHED

CIFAR100 = get_challenge("cifar100")


def test_the_table_is_sorted_and_says_how_each_number_came(tmp_path: Path) -> None:
    of = "submission abc"
    points = (
        CurvePoint(10, (0.2, 0.22, 0.21), 1000, 1.0),
        CurvePoint(45, (0.31,), 200, 1.0),
        CurvePoint(100, (0.35,), 1000, 1.0),
    )
    save_curve(Curve("cifar100", points, of=of), tmp_path / "accuracy-cifar100-gaussian.json")
    save_curve(Curve("digits", (), of=of), tmp_path / "accuracy-digits-native.json")
    ours = read_curves(CIFAR100, tmp_path)
    assert list(ours) == ["gaussian"]
    real = Curve("cifar100", (CurvePoint(10, (0.18, 0.19), 1000, 1.0),))
    lines = table(ours, real, PUBLISHED["cifar100"], CIFAR100.chance).splitlines()
    assert "| **`gaussian`** | 10 | 21.00% [18.52, 23.48] | n = 3 | more than 10 |" in lines
    assert "| **`gaussian`** | 45 | 31.00% | n = 1, preview of 200 epochs | |" in lines
    assert "| **`gaussian`** | 100 | 35.00% | n = 1, preview of 1 round | more than 10 |" in lines
    assert "| DiT + min-max + DSR (2nd) | 45 | 14.44% ± 0.40 | paper | |" in lines
    shown = [float(line.split("|")[3].strip().removeprefix("about ").split("%")[0]) for line in lines[2:]]
    assert shown == sorted(shown, reverse=True)
    draw(CIFAR100, ours, real, tmp_path / "picture.png")
    with Image.open(tmp_path / "picture.png") as picture:
        assert picture.width > picture.height > 500
