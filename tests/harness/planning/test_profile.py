from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from harness.planning.measure import Wanted
from harness.planning.planner import predict_ipc
from harness.planning.profile import (
    Failed,
    Sustained,
    content_hash,
    load_profile,
    merged,
    profile_key,
    profile_path,
    store_profile,
)
from harness.report.profile_page import describe_start, render, rows
from tests.harness.profiles import key, profile

WHOLE = profile(
    lambda k, n: 0.1 * k + 0.01 * n,
    [(8, 1), (8, 16), (4, 16)],
    sustained=Sustained(8, 16, 1.0, 0.9, 1.1, 5),
    failed=(Failed(8, 32, "out_of_memory", "no room"),),
    write_s=0.001,
    measured_at="2026-01-01T00:00:00+00:00",
)


@pytest.fixture(autouse=True)
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def test_a_profile_comes_back_from_the_cache() -> None:
    assert load_profile(WHOLE.key) is None
    store_profile(WHOLE)
    assert load_profile(WHOLE.key) == WHOLE


def test_what_is_measured_later_is_added() -> None:
    few = profile(lambda _k, _n: 9.0, [(8, 16), (2, 32)], doubled=False)
    both = merged(WHOLE, few)
    assert {(p.steps, p.batch_size): p.seconds for p in both.points}[8, 16] == 9.0
    assert len(both.points) == 4 and both.doubled and both.sustained == WHOLE.sustained
    assert both.failed == WHOLE.failed
    assert merged(few, WHOLE).sustained == WHOLE.sustained
    assert merged(WHOLE, profile(lambda _k, _n: 2.0, [(8, 32)])).failed == (), "it has been measured since"


@pytest.mark.parametrize(
    "change",
    [
        {"settings": {"guidance": "2"}},
        {"weights": "other"},
        {"machine": "another"},
        {"device": "cuda"},
        {"threads": 1},
        {"versions": {"python": "3.12"}},
        {"generator": "noise"},
        {"dataset": "cifar100"},
    ],
)
def test_whatever_differs_is_another_profile(change: dict[str, object]) -> None:
    store_profile(WHOLE)
    assert load_profile(key(**change)) is None
    assert profile_path(key(**change)) != profile_path(WHOLE.key)


def test_a_damaged_or_older_profile_is_passed_over() -> None:
    path = store_profile(WHOLE)
    told = json.loads(path.read_text())
    for text in ("{", json.dumps({**told, "schema": 0}), json.dumps({**told, "points": [{}]}), "{}"):
        path.write_text(text)
        assert load_profile(WHOLE.key) is None
    path.write_text(json.dumps(told))
    assert load_profile(WHOLE.key) == WHOLE


def test_weights_are_known_by_their_content(tmp_path: Path) -> None:
    first, second = tmp_path / "a", tmp_path / "b"
    first.write_bytes(b"weights")
    second.write_bytes(b"weights")
    assert content_hash(first) == content_hash(second) != content_hash(None)
    folder = content_hash(tmp_path)
    second.write_bytes(b"others")
    assert content_hash(first) != content_hash(second)
    others = content_hash(tmp_path)
    assert others != folder
    second.rename(tmp_path / "c")
    assert content_hash(tmp_path) != others, "a folder's files are known by their names as well"


def test_the_key_of_this_machine_is_the_same_twice() -> None:
    first = profile_key("noise", "digits", {"b": "1", "a": "2"}, None, "cpu")
    assert first == profile_key("noise", "digits", {"a": "2", "b": "1"}, None, "cpu")
    assert first.machine and first.versions["torch"]


def test_the_page_has_every_point_and_loads_nothing() -> None:
    page = render(WHOLE, [predict_ipc(WHOLE, 60.0), predict_ipc(WHOLE, 60.0, 4)], 60.0)
    assert page.count('<svg class="wide"') == 2 and "out of memory" in page
    assert page.count("<script>") == 1 and 'src="' not in page
    assert len(rows(WHOLE)) == 4
    assert "first batch of 0" in describe_start(WHOLE)
    one = replace(WHOLE, points=WHOLE.points[:1], sustained=None, failed=())
    assert render(one, [predict_ipc(one, 60.0)], 60.0).count('<svg class="wide"') == 1


@pytest.mark.parametrize(
    ("steps", "batch_sizes", "there"),
    [
        ((), (), True),
        ((4, 8), (), True),
        ((2,), (), False),
        ((), (1, 16), True),
        ((), (64,), False),
        ((8,), (1, 16), True),
        ((4,), (1,), False),  # both were measured, but not together
        ((8,), (16, 32), True),  # what failed is not tried again
        ((), (32,), True),
    ],
)
def test_what_was_tried_counts_as_measured(steps: tuple[int, ...], batch_sizes: tuple[int, ...], there: bool) -> None:
    assert Wanted(steps, batch_sizes).all_in(WHOLE) is there
