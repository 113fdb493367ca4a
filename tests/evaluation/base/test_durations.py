import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluation.base.durations import parse_duration, show_duration


@pytest.mark.parametrize(
    ("text", "seconds"), [("600", 600), ("600s", 600), ("10m", 600), ("1.5h", 5400), (" 20 s ", 20), ("0.5", 0.5)]
)
def test_durations_as_people_write_them(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "0", "-5", "ten", "5 parsecs", "1e3", "nan", "inf", "5m30"])
def test_anything_else_is_refused_in_one_sentence(text: str) -> None:
    with pytest.raises(ValueError, match="write seconds or a number with a unit"):
        parse_duration(text)


@given(st.floats(0, 10**6))
def test_every_duration_can_be_shown(seconds: float) -> None:
    assert show_duration(seconds)


def test_shown_as_people_read_them() -> None:
    assert [show_duration(s) for s in (3.42, 42.4, 185, 7800)] == ["3.4 s", "42 s", "3 min 05 s", "2 h 10 min"]
    assert show_duration(59.7) == "1 min 00 s"
