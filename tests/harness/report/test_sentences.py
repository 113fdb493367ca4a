import pytest

from evaluation.curve.real_equivalent import RealEquivalent, worth_words
from harness.gpu.telemetry import GpuSummary
from harness.records.record import IpcPart, Outcome, PlanPart
from harness.report.sentences import (
    describe_clock,
    describe_copies,
    describe_gpu,
    describe_isolation,
    describe_outcome,
    format_accuracy,
    format_prediction,
    gpu_warnings,
    percent,
)
from tests.harness.records.samples import accuracy, record


def test_an_accuracy_has_n_spread_and_interval() -> None:
    assert format_accuracy(accuracy()) == "90.00% [88.00, 92.00], std 1.00, n = 3"


def test_one_round_has_no_interval() -> None:
    words = format_accuracy(accuracy(std=None, ci95=None, rounds=[0.9], preview=True, epochs=60))
    assert words == "90.00% (one round, no interval), preview: 60 epochs, 1 round"
    full_length = format_accuracy(accuracy(std=None, ci95=None, rounds=[0.9], preview=True, epochs=1000))
    assert full_length == "90.00% (one round, no interval), preview: 1 round"


@pytest.mark.parametrize(
    ("confined", "words"),
    [
        (
            ["network", "processes", "data", "process_limit"],
            "kept from the network and other processes and the real data",
        ),
        (
            ["network", "processes", "data"],
            "not kept from endless processes, as nothing on this machine limits how many",
        ),
        (None, "not kept from the network and other processes and the real data and endless processes, as nothing"),
    ],
)
def test_a_program_without_a_limit_is_told_of(confined: list[str] | None, words: str) -> None:
    clock = record().clock
    assert clock is not None
    told = record(settings={"command": "./a"}, clock=clock.model_copy(update={"confined": confined}))
    assert words in describe_isolation(told)
    trusted = record(settings={"command": "./a", "trust": True})
    assert describe_isolation(trusted) == "none, as --trust says; nothing limited how many processes it had"


def test_the_ledger_in_words() -> None:
    clock = record().clock
    assert clock is not None
    assert describe_clock(clock, 60.0) == (
        "40 s of 1 min 00 s: load 2.0 s, generate 37.0 s, write 1.0 s; ended by the cap on images per class"
    )


def test_what_was_predicted_stands_beside_what_came() -> None:
    assert format_prediction(record().plan) == ""
    plan = PlanPart(steps=8, batch_size=64, predicted_ipc=212.34, predicted_ipc_interval=(204.0, 219.0))
    assert format_prediction(plan) == "; predicted 212.3 [204, 219]"


def test_generated_images_stand_beside_their_copies() -> None:
    ipc = IpcPart(mean=100.0, min=100, max=100, distinct=21.26, generated=20.0)
    told = "; 20 generated and 4 augmented copies of each"
    assert describe_copies(record(settings={"pda": 5}, ipc=ipc)) == f"{told}, 21.3 distinct"
    assert describe_copies(record(settings={"pda": 5}, ipc=ipc.model_copy(update={"distinct": None}))) == told
    assert describe_copies(record()) == ""


def test_the_outcome_in_words() -> None:
    words = describe_outcome(record(outcome=Outcome.CRASHED, detail="It ended with exit code 1"))
    assert words.startswith("crashed: the generator ended with an error") and words.endswith("exit code 1")


def test_an_unknown_accuracy_is_a_dash() -> None:
    assert (percent(None), percent(0.12345)) == ("–", "12.35%")


def test_a_card_in_words_as_far_as_it_is_known() -> None:
    assert describe_gpu(GpuSummary(name="A card", count=1)) == "A card"
    full = GpuSummary(
        name="A card",
        driver="550",
        count=1,
        memory_gb=24.0,
        memory_gb_max=6.04,
        power_limit_w=450.0,
        power_w_max=437.5,
        temperature_c_max=71,
        utilisation_mean=0.931,
    )
    assert describe_gpu(full) == "A card, driver 550; up to 71 °C, 438 of 450 W, 6.0 of 24.0 GB; busy 93% of the time"


@pytest.mark.parametrize(
    ("told", "sentences"),
    [
        ({}, []),
        ({"throttled": False, "others_present": None}, []),
        (
            {
                "throttled": True,
                "throttled_share": 0.12,
                "limits": {"idle": 0.5, "power_brake": 0.02, "thermal_software": 0.1},
            },
            ["throttled for 12% of the run: heat 10%, a power brake 2%"],
        ),
        ({"others_present": True}, ["another process was computing on the GPU"]),
        ({"count": 2}, ["2 GPUs were visible; the challenge has one"]),
    ],
)
def test_what_stands_against_a_card(told: dict[str, object], sentences: list[str]) -> None:
    marks = gpu_warnings(GpuSummary(**{"name": "A card", "count": 1, **told}))
    assert [sentence for _, sentence in marks] == sentences


def test_what_an_accuracy_is_worth() -> None:
    assert worth_words(RealEquivalent(ipc=12.34, ci95=None, highest=100)) == "12.3 real images per class"
    between = RealEquivalent(ipc=12.34, ci95=(10.0, None), highest=100)
    assert worth_words(between) == "12.3 real images per class (95% interval 10.0 to above 100)"
    beyond = RealEquivalent(ipc=None, ci95=(90.0, None), highest=100)
    assert worth_words(beyond) == "more real images per class than were measured (above 100)"
