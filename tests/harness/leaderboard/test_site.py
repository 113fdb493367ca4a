"""The whole site from folders of runs: tables, page and reports; what it replaces and what it refuses to."""

from __future__ import annotations

import csv
import io
import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from evaluation.audits.audit import Audit
from harness.leaderboard.board import made_with
from harness.leaderboard.site import make_site
from tests.harness.leaderboard.samples import judged, keep_run

HOSTILE = "<script>document.title='run'</script>"


def quiet(done: int, of: int, name: str) -> None:
    """Nobody listens."""


def all_kinds(root: Path) -> Path:
    """A folder of runs: two of a submission, those that do not count, and what a stranger may have put into one."""
    for seed, rounds in enumerate(((0.93, 0.94, 0.95), (0.91, 0.92, 0.93))):
        keep_run(root / f"good-{seed}", images_seed=seed, generator="good", seed=seed, rounds=rounds)
    keep_run(root / "brief", images_seed=2, generator="brief", epochs=20, rounds=(0.99, 0.98, 0.97))
    keep_run(root / "hostile", images_seed=5, asked=("--set", f"a={HOSTILE}|"), commit="fedcba", rounds=(0.5,) * 3)
    keep_run(root / "changed", images_seed=6, images_hash="b" * 64)
    shutil.rmtree(keep_run(root / "gone", images_seed=7, generator="gone") / "images")
    shutil.copytree(root / "brief", root / "twice")
    odd = Audit("class_order", "fail", "the labels are wrong", {"seen": [5000] * 10})
    keep_run(root / "odd", images_seed=4, audits=[odd])
    keep_run(root / "theft", images_seed=2, generator="thief", epochs=20)
    for dataset, rounds in (("cifar100", (0.3, 0.31, 0.32)), ("tiny-imagenet", (0.1, 0.11, 0.12))):
        keep_run(root / dataset, dataset=dataset, generator="good", rounds=rounds)
    return root


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return all_kinds(tmp_path_factory.mktemp("all") / "runs")


@pytest.fixture(scope="module")
def site(runs: Path) -> Path:
    site = runs.parent / "site"
    make_site([runs], site, quiet)
    return site


@pytest.fixture(scope="module")
def told(site: Path) -> dict[str, Any]:
    return dict(json.loads((site / "leaderboard.json").read_text()))


def test_the_tables_agree(site: Path, told: dict[str, Any]) -> None:
    rows = {(row["view"], row["submission"]): row for row in told["rows"]}
    good = rows["digits", "good"]
    assert good["rank"] == 1 and good["accuracy"] == pytest.approx(0.93) and len(good["runs"]) == 2
    assert rows["score", "good"]["accuracy"] == pytest.approx(0.21)
    assert rows["score", "good"]["parts"] == pytest.approx({"cifar100": 0.31, "tiny-imagenet": 0.11})
    assert told["rows"][0]["view"] == "score"
    lines = list(csv.DictReader(io.StringIO((site / "leaderboard.csv").read_text())))
    assert [(line["view"], line["submission"], line["rank"]) for line in lines] == [
        (row["view"], row["submission"], str(row["rank"] or "")) for row in told["rows"]
    ]
    text = (site / "leaderboard.md").read_text()
    assert "| 1 | good | 93.00% |" in text and "## Challenge score" in text and HOSTILE not in text
    assert "| [DiT + min-max + DSR](https://arxiv.org/abs/2503.18626) | 2nd | 14.44% | 0.40 | 45 | yes |" in text
    table = [line for line in text.splitlines() if line.startswith("| ")]
    assert {len(re.findall(r"(?<!\\)\|", line)) for line in table} == {10, 7}, "a bar in a name breaks no table"


def test_what_does_not_count_is_listed_with_the_reason(told: dict[str, Any]) -> None:
    left_out = {each["shown"]: each["sentence"] for each in told["not_counted"]}
    assert left_out.keys() == {"runs/changed", "runs/twice", "runs/odd"}
    assert "hash" in left_out["runs/changed"]
    odd = "Its record is a record that cannot be true: audits.class_order.seen: not labels from -1 to 9"
    assert left_out["runs/odd"] == odd
    assert left_out["runs/twice"] == "It is the same judgement of the same images as runs/brief"


def test_images_that_two_submissions_share_are_told(told: dict[str, Any]) -> None:
    (thief,) = (row for row in told["rows"] if row["submission"] == "thief")
    assert [mark["word"] for mark in thief["marks"]] == ["same images as brief"]


def test_published_results_are_no_rows(told: dict[str, Any]) -> None:
    best = {(row["view"], row["timed"]): row for row in reversed(told["published"])}
    second = best["score", True]
    assert second["method"] == "DiT + min-max + DSR" and second["ipc"] == [45, 23]
    assert second["accuracy"] == pytest.approx((0.1444 + 0.0662) / 2)
    assert second["std"] == pytest.approx((0.0040**2 + 0.0020**2) ** 0.5 / 2)
    untimed = [row for row in told["published"] if row["view"] == "score" and not row["timed"]]
    assert {row["place"] for row in untimed} == {"1st, track 1", "ceiling"}


def test_every_row_has_its_report(site: Path, told: dict[str, Any]) -> None:
    page = (site / "index.html").read_text()
    assert "7 verified runs, 3 not counted" in page, "one of the eight has no images any more"
    reports = {run["report"] for row in told["rows"] for run in row["runs"]}
    assert len(reports) == 8 == len(list((site / "reports").iterdir()))
    for report in reports:
        assert f'href="{report}"' in page
        assert "Content-Security-Policy" in (site / report).read_text()


def test_the_site_stands_alone_and_says_nothing_of_this_machine(site: Path, runs: Path) -> None:
    for file in site.rglob("*.*"):
        text = file.read_text()
        assert str(runs.parent) not in text, f"{file.name} names a folder of this machine"
        if file.suffix == ".html":
            assert HOSTILE not in text, f"{file.name} holds a script of a stranger's"
            assert not re.search(r'(src|srcset)="(?!data:)', text)
    (policy,) = re.findall(r'Content-Security-Policy" content="([^"]+)"', (site / "index.html").read_text())
    assert policy.startswith("default-src 'none'") and "script-src 'sha256-" in policy


def test_an_older_site_is_replaced_but_for_reports_of_unchanged_records(runs: Path, tmp_path: Path) -> None:
    run, site = shutil.copytree(runs / "good-0", tmp_path / "run"), tmp_path / "site"
    (run / "report.html").write_text("a stranger's page")
    make_site([run], site, quiet)
    (report,) = (site / "reports").iterdir()
    assert "stranger" not in report.read_text() and "94.00%" in report.read_text()

    report.write_text("kept")
    (site / "old.html").touch()
    make_site([run, runs / "good-1"], site, quiet)
    assert report.read_text() == "kept" and len(list((site / "reports").iterdir())) == 2
    assert not (site / "old.html").exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["run", "site"], "nothing half-written is left"


def test_nothing_else_is_replaced(runs: Path, tmp_path: Path) -> None:
    site = tmp_path / "site"
    site.mkdir()
    (site / "leaderboard.json").touch()
    with pytest.raises(ValueError, match=r"none of the 1 runs counts.*changed"):
        make_site([runs / "changed"], site, quiet)
    assert [path.name for path in site.iterdir()] == ["leaderboard.json"], "the older site stays"
    for other in (runs, runs / "good-0" / "record.json"):
        with pytest.raises(ValueError, match="choose another --out"):
            make_site([runs / "good-0"], other, quiet)


def test_states_of_the_code_are_told_apart() -> None:
    records = [judged(commit=commit) for commit in ("a" * 40, "a" * 40, "b" * 40 + "+", None)]
    assert [(each.commit, each.runs) for each in made_with(records)] == [
        ("a" * 12, 2),
        ("b" * 12 + "+changes", 1),
        ("unknown", 1),
    ]
