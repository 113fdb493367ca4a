import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.cards.other_card import CARDS, HOST, ReferenceSpeed, get_card, mixture, relative_speed, scaled_budget
from harness.records.record import OtherCardPart
from harness.report.console import Voice
from harness.report.sentences import describe_other_card
from harness.run import plan
from harness.run.options import RunOptions
from harness.run.plan import other_card_part

CARD = CARDS["rtx4090"]
SPEEDS = st.floats(1e-3, 1e6)
MEASURED = st.fixed_dictionaries(dict.fromkeys(CARD.speeds, SPEEDS))
# what an RTX 4090 in a desktop would measure, if the assumptions hold
ITSELF = {name: speed.peak * speed.typical for name, speed in CARD.speeds.items()}


def test_a_card_that_measures_what_is_assumed_is_as_fast_as_itself() -> None:
    speed = relative_speed(CARD, ITSELF)
    assert speed.ratio == pytest.approx(1.0)
    assert speed.low < 1.0 < speed.high
    assert scaled_budget(600.0, CARD, speed) == pytest.approx(600.0)


@given(MEASURED, st.floats(0.01, 100))
def test_a_machine_so_much_faster_at_everything_is_so_much_faster(measured: dict[str, float], factor: float) -> None:
    one, other = (relative_speed(CARD, {k: v * by for k, v in measured.items()}) for by in (1.0, factor))
    assert other.ratio == pytest.approx(factor * one.ratio)
    assert other.low == pytest.approx(factor * one.low) and other.high == pytest.approx(factor * one.high)


@given(MEASURED)
def test_the_estimate_lies_in_its_interval_and_that_among_the_parts(measured: dict[str, float]) -> None:
    speed = relative_speed(CARD, measured)
    assert speed.low <= speed.ratio * (1 + 1e-9) and speed.ratio <= speed.high * (1 + 1e-9)
    assert min(part.low for part in speed.parts.values()) <= speed.low * (1 + 1e-9)
    assert speed.high <= max(part.high for part in speed.parts.values()) * (1 + 1e-9)


@given(MEASURED, st.lists(st.floats(0.01, 1), min_size=3, max_size=3), st.floats(0.0, 0.2))
def test_any_mixture_of_the_parts_lies_in_the_interval(
    measured: dict[str, float], weights: list[float], host_share: float
) -> None:
    speed = relative_speed(CARD, measured)
    on_card = [part.ratio for name, part in speed.parts.items() if name != HOST]
    shares = [weight / sum(weights) for weight in weights]
    card = 1 / sum(share / ratio for share, ratio in zip(shares, on_card, strict=True))
    truth = mixture(card, speed.parts[HOST].ratio, host_share)
    assert speed.low * (1 - 1e-9) <= truth <= speed.high * (1 + 1e-9)


def test_a_part_stands_beside_what_programs_reach() -> None:
    part = ReferenceSpeed(100.0, "TFLOP/s", typical=0.8, lowest=0.5, highest=1.0).compare(160.0)
    assert (part.there, part.ratio, part.low, part.high) == (80.0, 2.0, 1.6, 3.2)


def test_half_the_card_has_half_the_figures() -> None:
    assert relative_speed(CARDS["rtx3090"], ITSELF).ratio > 1.4


@pytest.mark.parametrize(("factor", "sentence"), [(1e-3, "more than a day.*shorter --budget"), (1e4, "than a second")])
def test_a_machine_too_slow_or_too_fast_is_refused_with_its_figures(factor: float, sentence: str) -> None:
    speed = relative_speed(CARD, {name: factor * value for name, value in ITSELF.items()})
    with pytest.raises(ValueError, match=sentence) as caught:
        scaled_budget(600.0, CARD, speed)
    assert "of 149 TFLOP/s" in str(caught.value) and "\n" not in str(caught.value)


def test_the_record_has_the_words_of_the_command() -> None:
    part = other_card_part(CARD, "cuda", 600.0, relative_speed(CARD, {k: 4 * v for k, v in ITSELF.items()}))
    told = part.model_dump(by_alias=True)
    assert told["as"] == "rtx4090" and told["scaled_budget"] == pytest.approx(150.0) and told["budget"] == 600.0
    assert OtherCardPart.model_validate(told) == part
    assert describe_other_card(part).startswith("An estimate for one RTX 4090: its 10 min 00 s correspond to 2 min")


@pytest.mark.parametrize(
    ("options", "sentence"),
    [({"as_card": "h200"}, "rtx4090 or rtx3090"), ({"as_card": "rtx4090", "resume": True}, "new run")],
)
def test_bad_options_are_refused(options: dict[str, object], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        RunOptions("digits", **options)  # type: ignore[arg-type]


def test_the_budget_that_is_asked_for_is_scaled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan, "calibrate", lambda device: {name: 2 * value for name, value in ITSELF.items()})
    part = plan.card_budget(RunOptions("cifar100", as_card="rtx4090", device="cpu"), Voice())
    assert part is not None and part.scaled_budget == pytest.approx(300.0)
    part = plan.card_budget(RunOptions("cifar100", as_card="rtx4090", budget_s=60.0, device="cpu"), Voice())
    assert part is not None and (part.scaled_budget, part.budget) == (pytest.approx(30.0), 60.0)
    assert plan.card_budget(RunOptions("cifar100"), Voice()) is None


def test_every_card_has_every_figure() -> None:
    for name, card in CARDS.items():
        assert get_card(name) is card
        assert set(card.speeds) == {"matmul", "convolution", "memory", HOST}
        assert all(speed.lowest <= speed.typical <= speed.highest for speed in card.speeds.values())
