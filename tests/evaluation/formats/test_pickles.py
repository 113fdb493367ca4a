"""Pickles: plain data comes through, everything else is refused before any of it runs."""

from __future__ import annotations

import pickle
import pickletools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from evaluation.formats.pickles import loads_plain

_PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | st.binary() | st.floats(allow_nan=False),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner) | st.tuples(inner, inner),
    max_leaves=10,
)


@given(_PLAIN, st.integers(3, 5))
def test_plain_data_round_trips(value: Any, protocol: int) -> None:
    assert loads_plain(pickle.dumps(value, protocol), "x") == value


@given(
    hnp.arrays(st.sampled_from(["u1", "<i4", ">f4", "<f8"]), hnp.array_shapes(max_dims=3), elements=st.integers(0, 9))
)
def test_arrays_round_trip(array: Any) -> None:
    loaded = loads_plain(pickle.dumps(array, 3), "x")
    assert loaded.dtype.newbyteorder("=") == array.dtype.newbyteorder("=")
    np.testing.assert_array_equal(loaded, array)
    loaded[...] = 1  # its own memory, free to be written


class _Evil:
    def __init__(self, *call: Any) -> None:
        self.call = call

    def __reduce__(self) -> Any:
        return self.call[0], self.call[1:]


@pytest.mark.parametrize("protocol", range(6))
def test_code_is_refused_and_does_not_run(tmp_path: Path, protocol: int) -> None:
    marker = tmp_path / "ran"
    for call in ((Path.touch, marker), (eval, f"open({str(marker)!r}, 'w')"), (np.load, str(marker))):
        with pytest.raises(ValueError, match=r"batch-1 holds the name .* was not loaded"):
            loads_plain(pickle.dumps({"data": _Evil(*call)}, protocol), "batch-1")
    assert not marker.exists()


def test_object_arrays_and_lying_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match="an array of type 'O"):
        loads_plain(pickle.dumps(np.array([{}, []], object), 3), "x")
    with pytest.raises(ValueError, match="an array of type 'V"):
        loads_plain(pickle.dumps(np.zeros(2, "u1,f4"), 3), "x")
    honest = pickle.dumps(np.zeros(5, np.uint8), 3)
    at = next(at or 0 for op, value, at in pickletools.genops(honest) if op.name == "BININT1" and value == 5)
    lying = honest[: at + 1] + b"\xff" + honest[at + 2 :]
    with pytest.raises(ValueError, match="does not fill its shape"):
        loads_plain(lying, "x")


@given(st.data())
def test_damage_is_one_sentence(data: st.DataObject) -> None:
    whole = pickle.dumps({"data": np.arange(12, dtype=np.uint8), "labels": [1, 2]}, 2)
    cut = whole[: data.draw(st.integers(0, len(whole) - 1))]
    with pytest.raises(ValueError, match="x "):
        loads_plain(cut, "x")
    noise = bytearray(whole)
    noise[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    try:
        loads_plain(bytes(noise), "x")
    except ValueError as error:
        assert str(error).startswith("x ")


def test_persistent_ids_are_refused() -> None:
    with pytest.raises(ValueError, match="not loaded"):
        loads_plain(b"Pid\n.", "x")
