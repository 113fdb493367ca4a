import base64
import hashlib
import re
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from evaluation.audits.audit import Audit
from evaluation.base.challenge import get_challenge
from evaluation.base.images import ImageSet
from harness.cards.other_card import CARDS, relative_speed
from harness.clock.ledger import Ledger
from harness.gpu.telemetry import Sample, summarise
from harness.records.record import BaselinePart, FilesPart, IpcPart, Outcome
from harness.report.pictures import audited_pairs, gallery
from harness.report.published import PUBLISHED
from harness.report.run_page import LogEnd, read_log_end, render
from harness.report.style import NARROW, WIDE
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
    assert page.count('<svg class="wide"') == page.count('<svg class="narrow"') == 2


def test_the_page_loads_nothing_from_elsewhere() -> None:
    page = render(record(dataset="cifar100", accuracy=accuracy(per_class=[0.1] * 100)), pictures([0]), None)
    assert not re.search(r"""src="(?!data:)|<link|@import|url\((?!#)""", page)
    assert set(re.findall(r'href="([^#"]*)', page)) <= {"", *(entry.paper for entry in PUBLISHED["cifar100"])}


def test_a_page_runs_its_own_script_alone() -> None:
    page = render(record(), None, None)
    (script,) = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"default-src 'none'; style-src 'unsafe-inline'; img-src data:; script-src 'sha256-{digest}'" in page
    assert page.count("<script") == 1


def test_what_strangers_wrote_is_shown_not_run() -> None:
    files = FilesPart(dropped=1, examples=["<script>alert(1)</script>.png: damaged image"])
    page = render(record(files=files, detail="<b>bold</b>"), None, None)
    assert page.count("<script") == 1 and "&lt;script&gt;" in page and "&lt;b&gt;" in page


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
    assert "Preview: 60 epochs; the challenge has 3 rounds of 1,000 epochs, so" in page and page.count(badge) == 3
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
    assert page.count('<svg class="wide"') == 3
    assert "<h2>GPU</h2>" not in render(record(), None, None)


def test_an_estimate_for_another_card_says_so_with_its_interval() -> None:
    speed = relative_speed(CARDS["rtx4090"], {"matmul": 600.0, "convolution": 400.0, "memory": 4000.0, "host": 16e3})
    page = render(record(other_card=other_card_part(CARDS["rtx4090"], "cuda", 60.0, speed)), None, None)
    for text in (">estimate<", "An estimate for one RTX 4090", "This machine compared with one RTX 4090", "16,000"):
        assert text in page


def test_a_card_that_tells_nothing_is_no_fault() -> None:
    silent = [Sample(seconds=float(second), card=0) for second in range(3)]
    assert "<h2>GPU</h2>" in render(record(gpu=summarise(silent, [card()], 1, None)), None, None, telemetry=silent)


def test_texts_in_charts_are_large_enough_on_phones_and_values_can_be_pointed_at() -> None:
    told = record(dataset="cifar100", accuracy=accuracy(per_class=[0.1] * 100))
    page = render(told, None, None)
    charts = re.findall(r"<svg.*?</svg>", page, re.DOTALL)
    assert len(charts) == 6
    for chart in charts:
        drawn = ElementTree.fromstring(chart)
        assert drawn.attrib["aria-label"] and drawn.attrib["role"] == "img"
        assert float(drawn.attrib["viewBox"].split()[2]) <= (NARROW if drawn.attrib["class"] == "narrow" else WIDE)
        sizes = [float(size) for size in re.findall(r"font-size: ([0-9.]+)px", chart)]
        assert sizes and min(sizes) >= 12  # 11 on a page that is a little narrower
        assert drawn.find(".//title") is not None
        assert not re.search(r"#[0-9a-f]{6}\b", chart.replace("#000000", "")), "a colour that does not follow the page"


def test_no_two_charts_share_what_they_refer_to() -> None:
    page = render(record(), None, None)
    ids = re.findall(r'<(?:path|clipPath|rect) id="([^"]+)"', page)
    assert ids and len(ids) == len(set(ids))


def test_the_published_table_has_this_run_in_its_place() -> None:
    told = record(dataset="cifar100", accuracy=accuracy(mean=0.12, ci95=(0.11, 0.13), per_class=[0.1] * 100))
    page = render(told, None, None)
    table = page[page.index("Comparison with") : page.index("Accuracy by class")]
    order = ["M-DATM", "DiT + min-max + DSR", "noise, this run", "DiT + min-max</a>", "SDXL-Turbo + PDA"]
    places = [table.index(method) for method in order]
    assert places == sorted(places)
    assert '<tr class="ours"><td class="n">2</td>' in table and "https://arxiv.org/abs/2410.13311" in table


def test_a_failed_audit_is_a_banner_with_the_command_that_mends_it() -> None:
    audits = [
        Audit("class_order", "fail", "the order is wrong", {"order": list(range(10))}),
        Audit("leakage", "warn", "the test images were not available", conclusive=False),
    ]
    command = ["python", "-m", "harness", "--data=/my data", "--epochs", "20"]
    page = render(record(audits=audits, command=command), None, None, root=Path("/runs/a b"))
    banner = page[page.index('class="banner"') : page.index('class="cards"')]
    assert "the order is wrong" in banner and '<span class="badge bad">1 audit failed</span>' in page
    assert "--class-order &#39;/runs/a b/class_order.txt&#39;" in banner
    assert "--data &#39;/my data&#39; --epochs 20" in banner
    assert '<span class="badge good">ok</span>' not in page
    assert '<span class="badge plain">cannot tell</span>' in page
    assert 'class="banner"' not in render(record(audits=audits[1:]), None, None)


def test_a_run_without_images_leads_with_the_reason_and_the_end_of_the_log(tmp_path: Path) -> None:
    log = tmp_path / "log.txt"
    said = "\x1b[31mTraceback\x1b[0m <b>\n 10%\r 20%\n[harness 12:00:00] a line of the harness\n\nno kernel image\n"
    log.write_text("first line\n" * 100 + said)
    empty = {"accuracy": None, "ipc": None, "images": 0, "images_over_time": [], "throughput": None}
    end = read_log_end(log)
    assert end.lines[-3:] == ["Traceback <b>", " 20%", "no kernel image"] and len(end.lines) == 40
    page = render(record(outcome=Outcome.CRASHED, detail="It ended with exit code 1", **empty), None, None, log_end=end)
    assert page.index("It ended with exit code 1.") < page.index("no kernel image") < page.index('class="cards"')
    assert "Traceback &lt;b&gt;" in page
    assert "no kernel image" not in render(record(), None, None, log_end=end)
    log.unlink()
    log.symlink_to("/etc/passwd")
    assert read_log_end(log) == LogEnd("log.txt", [])


def test_the_time_bar_has_the_scale_of_the_budget() -> None:
    page = render(record(), None, None)
    assert 'data-tip="generate 37.00 s" style="width:61.667%' in page
    assert 'data-tip="unused 20 s"' in page and "enlarged" not in page
    clock = record().clock
    assert clock is not None
    hurried = clock.model_copy(update={"ended": 101.0, "ledger": Ledger(generate=1.0)})
    assert "The 1.0 s that were used, enlarged" in render(record(clock=hurried), None, None)


def test_the_best_and_the_worst_classes_and_the_superclasses() -> None:
    challenge = get_challenge("cifar100")
    per_class = [0.3] * 100
    per_class[challenge.class_names.index("apple")] = 0.91
    per_class[challenge.class_names.index("worm")] = 0.02
    page = render(record(dataset="cifar100", accuracy=accuracy(per_class=per_class)), None, None)
    best, worst, heat = (page.index(title) for title in ("The best ten", "The worst ten", "By superclass"))
    assert best < page.index(">apple<") < worst < page.index(">worm<") < heat
    assert page.index("fruit and vegetables", heat) < page.index("non-insect invertebrates", heat)
    assert "By superclass" not in render(record(), None, None)
