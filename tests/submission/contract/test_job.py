from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from submission.contract.job import Job, image_seed


def test_a_job_comes_back_from_its_file(tmp_path: Path) -> None:
    job = Job("digits", "noise", "out", "events", deadline=12.5, seed=3, ipc=4, settings={"a": "b"})
    job.save(tmp_path / "job.json")
    assert Job.load(tmp_path / "job.json") == job


@given(seed=st.integers(0, 10**6), label=st.integers(0, 199), index=st.integers(0, 10**6))
def test_image_seeds_fit_a_signed_integer_and_differ_by_each_part(seed: int, label: int, index: int) -> None:
    here = image_seed(seed, label, index)
    assert 0 <= here < 2**63
    assert len({here, image_seed(seed + 1, label, index), image_seed(seed, label + 1, index)}) == 3
    assert here != image_seed(seed, label, index + 1)


def test_image_seeds_are_the_same_in_every_version() -> None:
    assert (image_seed(0, 0, 0), image_seed(1, 2, 3)) == (759540517790923586, 3751671686878481423)
