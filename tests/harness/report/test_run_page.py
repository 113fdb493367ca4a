import re

import numpy as np
import pytest

from evaluation.audits.audit import Audit
from evaluation.base.challenge import get_challenge
from evaluation.base.images import ImageSet
from harness.cards.other_card import CARDS, relative_speed
from harness.gpu.telemetry import Sample, summarise
from harness.records.record import BaselinePart, FilesPart, IpcPart, Outcome
from harness.report.charts import PUBLISHED
from harness.report.pictures import audited_pairs, gallery
from harness.report.run_page import render
from harness.run.plan import other_card_part
from tests.harness.gpu.cards import card, sample
from tests.harness.records.samples import accuracy, record

HOT = ("thermal_software",)
DIGITS = get_challenge("digits")


def pictures(labels: list[int]) -> ImageSet:
    images = np.random.default_rng(0).integers(0, 256, (len(labels), 3, 32, 32), np.uint8)
    return ImageSet(images, np.array(labels, np.int64))


def test_a_full_page_has_its_numbers_and_pictures() -> None:
    baseline = BaselinePart(ipc=2.0, accuracy=accuracy(mean=0.95, ci95=(0.93, 0.97)))
    page = render(record(baseline=baseline), pictures([0, 1, 1]), pictures([0, 2]))
    for text in ("90.00%", "88.00 to 92.00", "95.00%", "n = 3", "Where the time went", "Images over time"):
        assert text in page
    assert page.count("data:image/webp") == 4
    assert page.count("<svg") == 4


def test_the_page_loads_nothing_from_elsewhere() -> None:
    page = render(record(), pictures([0]), None)
    assert not re.search(r'(?:src|href)="(?!data:)', page.replace('xlink:href="#', "").replace('href="#', ""))
    assert "<script" not in page


def test_what_strangers_wrote_is_shown_not_run() -> None:
    files = FilesPart(dropped=1, examples=["<script>alert(1)</script>.png: damaged image"])
    page = render(record(files=files, detail="<b>bold</b>"), None, None)
    assert "<script" not in page and "&lt;script&gt;" in page and "&lt;b&gt;" in page


@pytest.mark.parametrize("outcome", list(Outcome))
def test_every_outcome_has_a_page_even_with_nothing_to_show(outcome: Outcome) -> None:
    empty = record(outcome=outcome, clock=None, accuracy=None, ipc=None, images=0, images_over_time=[], throughput=None)
    assert outcome.value.replace("_", " ") in render(empty, None, None)


def test_copies_and_long_settings() -> None:
    ipc = IpcPart(mean=100.0, min=100, max=100, distinct=21.26, generated=20.0)
    page = render(record(settings={"pda": 5, "prompts": "word " * 1000}, ipc=ipc), None, None)
    assert "20 generated, the others augmented copies; 21.3 distinct" in page
    assert "pda 5" in page and page.count("word") < 30


def test_a_preview_says_so_wherever_its_number_stands() -> None:
    page = render(record(accuracy=accuracy(preview=True, epochs=60)), None, None)
    badge = '<span class="badge warn">preview: 60 epochs</span>'
    assert "Preview: 60 epochs; the challenge has 3 rounds of 1,000 epochs, so" in page and page.count(badge) == 2
    brief = accuracy(preview=True, epochs=1000, rounds=[0.9], std=None, ci95=None)
    page = render(record(baseline=BaselinePart(ipc=2.0, accuracy=brief)), None, None)
    assert "IPC 2, n = 1; preview: 1 round" in page and ">preview</span>" not in page
    assert "Preview: 1 round; the challenge has 3 rounds of 1,000 epochs." in render(record(accuracy=brief), None, None)


@pytest.mark.parametrize("dataset", ["cifar100", "tiny-imagenet"])
def test_published_results_stand_beside(dataset: str) -> None:
    challenge = get_challenge(dataset)
    page = render(record(dataset=dataset, accuracy=accuracy(per_class=[0.1] * challenge.classes)), None, None)
    for published in PUBLISHED[dataset]:
        assert published.method in page
        assert f"{100 * published.accuracy:.2f}%" in page


def test_a_class_without_images_or_test_images_is_no_fault() -> None:
    page = render(record(accuracy=accuracy(per_class=[None] + [0.5] * 9)), pictures([3]), pictures([3]))
    assert "none</span>" in page
    assert len(gallery(pictures([3]), None, DIGITS)) == 10


def test_the_same_record_gives_the_same_page() -> None:
    assert render(record(), pictures([0]), None) == render(record(), pictures([0]), None)


def test_what_the_audits_point_at_is_shown() -> None:
    audits = [
        Audit(name="class_order", status="fail", evidence="wrong", numbers={"seen": [1, 0, *range(2, 9), -1]}),
        Audit(
            name="leakage",
            status="fail",
            evidence="copies",
            numbers={"closest": [0, 1], "closest_training": [1, 0], "copied": [2], "copied_test": [1]},
        ),
        Audit(name="duplicates", status="warn", evidence="repeats", numbers={"repeats": [2], "repeated": [1]}),
    ]
    told = record(audits=audits)
    titles = (
        "Copies of test images",
        "The closest to training images",
        "Repeated images",
        "each label resembles most",
    )
    page = render(told, pictures([0, 1, 1]), pictures([0, 2]), pictures([0, 3]))
    assert all(title in page for title in titles)
    without = render(told, pictures([0, 1, 1]), None)
    assert "Repeated images" in without and "Copies of test images" not in without


def test_the_pairs_are_the_images_that_the_audits_name() -> None:
    generated, train = pictures([0, 1, 1]), pictures([4, 5])
    audit = Audit(name="leakage", status="pass", evidence="", numbers={"closest": [2, 0], "closest_training": [1, 1]})
    (pairs,) = audited_pairs([audit], generated, train, None)
    upper = pairs.generated_HWC
    np.testing.assert_array_equal(upper[:, :32], generated.images[2].transpose(1, 2, 0))
    np.testing.assert_array_equal(upper[:, 32:], generated.images[0].transpose(1, 2, 0))


def test_the_card_is_shown_with_its_marks() -> None:
    rows = [sample(second, power_w=300 + second, limits=HOT if second > 9 else ()) for second in range(40)]
    gpu = summarise([*rows, sample(40, others=1)], [card(0), card(1)], 2, "550.54")
    page = render(record(gpu=gpu), None, None, telemetry=rows)
    for text in (
        "NVIDIA GeForce RTX 4090, driver 550.54",
        "throttled for 73%",
        "another process",
        "2 GPUs were",
    ):
        assert text in page
    assert page.count("<svg") == 5
    assert "<h2>GPU</h2>" not in render(record(), None, None)


def test_an_estimate_for_another_card_says_so_with_its_interval() -> None:
    speed = relative_speed(CARDS["rtx4090"], {"matmul": 600.0, "convolution": 400.0, "memory": 4000.0, "host": 16e3})
    page = render(record(other_card=other_card_part(CARDS["rtx4090"], "cuda", 60.0, speed)), None, None)
    for text in (">estimate<", "An estimate for one RTX 4090", "This machine compared with one RTX 4090", "16,000"):
        assert text in page


def test_a_card_that_tells_nothing_is_no_fault() -> None:
    silent = [Sample(seconds=float(second), card=0) for second in range(3)]
    assert "<h2>GPU</h2>" in render(record(gpu=summarise(silent, [card()], 1, None)), None, None, telemetry=silent)
