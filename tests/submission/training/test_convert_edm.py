"""Published EDM pickles become safetensors, and nothing in them runs."""

from __future__ import annotations

import hashlib
import io
import os
import pickle
import subprocess
import sys
from collections import OrderedDict
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.models.edm import dhariwal, song
from submission.contract.weights import read_header, read_tensors
from submission.diffusion.networks.edm_unet import EDMUNet
from submission.generators.edm import IMAGENET, load_network
from submission.training.__main__ import main
from submission.training.edm.convert import convert_edm
from submission.training.edm.pickle import read_edm_pickle
from tests.submission.edm_files import Persistent, published, snapshot, torch_utils, write_pickle

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize("protocol", [3, 4, 5])
def test_tensors_come_through_and_the_source_does_not_run(tmp_path: Path, protocol: int) -> None:
    marker, network = tmp_path / "ran", song()
    source = f"open({str(marker)!r}, 'w').close()"
    file = write_pickle(tmp_path / "network.pkl", snapshot(network, source), protocol)
    path = convert_edm(file, "digits", tmp_path / "out", half=False)
    assert not marker.exists()
    with torch_utils():
        pickle.loads(file.read_bytes())
    assert marker.exists(), "the file is one that runs its source where it is loaded"

    assert path == tmp_path / "out" / "edm-digits.safetensors"
    tensors = read_tensors(path)
    assert tensors.keys() == network.state_dict().keys()
    for name, tensor in network.state_dict().items():
        assert torch.equal(tensors[name], tensor), name


@pytest.mark.parametrize("make", [song, dhariwal])
def test_a_converted_network_answers_as_the_one_in_the_file(tmp_path: Path, make: Any) -> None:
    network: EDMUNet = make(label_dropout=0.1)
    path = convert_edm(write_pickle(tmp_path / "a.pkl", snapshot(network)), "digits", tmp_path, half=False)
    header = read_header(path)
    read = load_network(path, header).eval()
    assert read.config == network.config
    x, noise, labels = torch.randn(3, 3, 16, 16), torch.randn(3), torch.tensor([0, 9, 10])
    with torch.inference_mode():
        assert torch.equal(read(x, noise, labels), network(x, noise, labels))
    assert header.model["sigma_data"] == 0.5
    sha256 = hashlib.sha256((tmp_path / "a.pkl").read_bytes()).hexdigest()
    assert header.model["source"] == {
        "file": "a.pkl",
        "sha256": sha256,
        "network": "ema",
    }


def test_half_is_the_default_of_the_command_and_half_the_size(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    network = song()
    file = str(write_pickle(tmp_path / "a.pkl", snapshot(network)))
    assert main(["convert-edm", file, "--dataset", "digits", "--out", str(tmp_path / "half"), "--licence", "mine"]) == 0
    assert main(["convert-edm", file, "--dataset", "digits", "--out", str(tmp_path / "full"), "--fp32"]) == 0
    half, full = (Path(line) for line in capsys.readouterr().out.split())
    assert 1.8 < full.stat().st_size / half.stat().st_size < 2.1
    assert read_header(half).licence == "mine"
    for name, tensor in network.state_dict().items():
        assert torch.equal(read_tensors(half)[name], tensor.half().float())


def test_fp16_storages_and_views_of_a_storage(tmp_path: Path) -> None:
    """Layers of another memory layout, and two that share one storage, are the numbers that they were."""
    network = song()
    conv = network.dec["16x16_aux_conv"]
    conv.weight = torch.nn.Parameter(conv.weight.detach().to(memory_format=torch.channels_last))
    shared = torch.randn(2, 64)
    network.map_layer0.bias = torch.nn.Parameter(shared[0])
    network.map_layer1.bias = torch.nn.Parameter(shared[1])
    network.map_label.half()
    path = convert_edm(write_pickle(tmp_path / "a.pkl", snapshot(network)), "digits", tmp_path, half=False)
    tensors = read_tensors(path)
    for name, tensor in network.state_dict().items():
        assert torch.equal(tensors[name], tensor.float()), name


def test_an_imagenet_network_carries_wordnet_ids(tmp_path: Path) -> None:
    file = write_pickle(tmp_path / "a.pkl", snapshot(dhariwal(classes=1000)))
    header = read_header(convert_edm(file, IMAGENET, tmp_path))
    assert (header.challenge, header.class_names[0], header.class_names[999]) == (IMAGENET, "n01440764", "n15075141")


class Evil:
    def __init__(self, *call: Any) -> None:
        self.call = call

    def __reduce__(self) -> Any:
        return self.call[0], self.call[1:]


def legacy(content: Any) -> bytes:
    """As torch writes a storage inside a pickle, around anything."""
    file = io.BytesIO()
    torch.save(content, file, _use_new_zipfile_serialization=False)
    return file.getvalue()


def refused(tmp_path: Path, content: Any, sentence: str) -> None:
    file = write_pickle(tmp_path / "evil.pkl", content)
    with pytest.raises(ValueError, match=sentence) as caught:
        convert_edm(file, "digits", tmp_path)
    assert "\n" not in str(caught.value)
    assert not list(tmp_path.glob("*.safetensors"))


def test_code_is_refused_by_name_and_does_not_run(tmp_path: Path) -> None:
    marker = tmp_path / "ran"
    command = Evil(os.system, f"touch {marker}")
    with_code = published(song())
    with_code._modules["model"]._modules["enc"]["16x16_conv"]._parameters["weight"] = command
    deep = Evil(torch.storage._load_from_bytes, legacy(command))
    deeper = Evil(torch.storage._load_from_bytes, legacy([torch.zeros(3)._typed_storage(), command]))
    for content, name in (
        (command, "posix.system"),
        ({"ema": with_code}, "posix.system"),
        ({"ema": published(song()), "more": Evil(eval, "1")}, "builtins.eval"),
        ({"ema": deep}, "posix.system"),
        ({"ema": deeper}, "posix.system"),
        ({"ema": Evil(torch.load, "x")}, "torch.serialization.load"),
        ({"ema": Evil(exec, "1")}, "builtins.exec"),
    ):
        refused(tmp_path, content, rf"holds the name '{name}', which a network of EDM never does; it was not loaded")
    assert not marker.exists()
    pickle.loads(pickle.dumps(command))
    assert marker.exists(), "the command is one that runs"


@pytest.mark.parametrize("protocol", range(6))
def test_code_is_refused_in_every_protocol(tmp_path: Path, protocol: int) -> None:
    marker = tmp_path / "ran"
    for call in ((Path.touch, marker), (eval, f"open({str(marker)!r}, 'w')"), (np.load, str(marker))):
        (tmp_path / "a.pkl").write_bytes(pickle.dumps({"ema": Evil(*call)}, protocol))
        with pytest.raises(ValueError, match=r"holds the name .* was not loaded"):
            read_edm_pickle(tmp_path / "a.pkl")
    assert not marker.exists()


def test_persistent_ids_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.pkl").write_bytes(b"Pid\n.")
    with pytest.raises(ValueError, match="not loaded"):
        read_edm_pickle(tmp_path / "a.pkl")


def test_what_lies_about_its_size_is_refused(tmp_path: Path) -> None:
    storage = torch.zeros(8)._typed_storage()
    rebuild = torch._utils._rebuild_tensor_v2
    for size, stride in (((9,), (1,)), ((2,), (8,)), ((10**9,), (0,)), ((3, 4), (4, 1)), ((2,), (-1,))):
        tensor = Evil(rebuild, storage, 0, size, stride, False, {})
        refused(tmp_path, {"ema": tensor}, "holds a tensor (that reaches beyond its storage|with an impossible shape)")
    honest = legacy(storage)
    at = honest.index((8).to_bytes(8, "little"))
    lying = honest[:at] + (2**40).to_bytes(8, "little") + honest[at + 8 :]
    refused(tmp_path, {"ema": Evil(torch.storage._load_from_bytes, lying)}, "a storage that is not as long as it says")


def test_a_claim_of_much_memory_takes_none(tmp_path: Path) -> None:
    """In a process that may take 2 GB: the file claims a byte array, and bytes, of a thousand."""
    tera = (2**40).to_bytes(8, "little")
    for name, opcode in (("array", pickle.BYTEARRAY8), ("bytes", pickle.BINBYTES8)):
        (tmp_path / f"{name}.pkl").write_bytes(pickle.PROTO + b"\x05" + opcode + tera + b"0123" + pickle.STOP)
        code = (
            "import resource, sys; from submission.training.edm.pickle import read_edm_pickle as r\n"
            "from pathlib import Path; resource.setrlimit(resource.RLIMIT_AS, (2**31, 2**31))\n"
            "try: r(Path(sys.argv[1]))\n"
            "except ValueError as error: print(error)"
        )
        command = [sys.executable, "-c", code, tmp_path / f"{name}.pkl"]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
        assert done.stdout.count("\n") == 1


def test_copies_of_dictionaries_are_refused(tmp_path: Path) -> None:
    """A few bytes each, and each of them as large as the largest."""
    refused(tmp_path, {"ema": Evil(OrderedDict, [(1, 2)])}, "holds a copy of a dictionary")
    refused(tmp_path, {"ema": Evil(np.frombuffer, b"1234", "u1")}, "the name 'numpy.frombuffer'")
    refused(tmp_path, {"ema": np.zeros(3)}, r"the name 'numpy\._core\.")


def test_states_and_modules_without_end_are_refused(tmp_path: Path) -> None:
    attributes = b"ctorch._utils\n_rebuild_parameter\n}\x8c\x08__code__K\x01sb."  # set on one of our functions
    (tmp_path / "a.pkl").write_bytes(pickle.PROTO + b"\x04" + attributes)
    with pytest.raises(ValueError, match="holds a state for a function"):
        read_edm_pickle(tmp_path / "a.pkl")
    endless = published(song())
    endless._modules["model"]._modules["enc"]["self"] = endless._modules["model"]._modules["enc"]
    refused(tmp_path, {"ema": endless}, "its modules are not those of a network")
    doubling: Any = torch.nn.ModuleDict()
    for _ in range(18):
        outer = torch.nn.ModuleDict()
        outer._modules.update(a=doubling, b=doubling)
        doubling = outer
    many = published(song())
    many._modules["model"]._modules["many"] = doubling
    refused(tmp_path, {"ema": many}, "its modules are not those of a network")


@cache
def a_whole_file() -> bytes:
    with torch_utils():
        return pickle.dumps({"ema": published(song(multipliers=(1,)))}, 4)


@given(data=st.data())
def test_damage_is_one_sentence(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    folder = tmp_path_factory.mktemp("damaged")
    whole = a_whole_file()
    cut = data.draw(st.integers(0, len(whole) - 1))
    changed = bytearray(whole)
    changed[data.draw(st.integers(0, len(whole) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    for content in (whole[:cut], bytes(changed)):
        (folder / "a.pkl").write_bytes(content)
        try:
            convert_edm(folder / "a.pkl", "digits", folder)
        except ValueError as error:
            assert str(folder / "a.pkl") in str(error) and "\n" not in str(error)
        else:
            assert content == bytes(changed), "what lacks its end is never taken"


def test_networks_that_are_not_known_are_told(tmp_path: Path) -> None:
    vp = published(song())
    vp.__dict__["_described"] = ("VPPrecond", "")
    unknown = published(song())
    unknown._modules["model"].__dict__["_described"] = ("StyleGAN", "")
    missing = published(song())
    del missing._modules["model"]._parameters, missing._modules["model"]._modules["map_layer0"]
    big = song()
    with torch.no_grad():
        big.map_layer0.bias[0] = 1e6
    for content, sentence in (
        ({"ema": vp}, "it holds a VPPrecond; only EDMPrecond is known"),
        ({"ema": unknown}, "its network is a StyleGAN; known are SongUNet and DhariwalUNet"),
        ({"ema": published(song(), encoder_type="residual")}, "encoder_type 'residual', not 'standard'"),
        ({"ema": published(song(), resample_filter=[1, 3, 3, 1])}, r"resample_filter \[1, 3, 3, 1\]"),
        ({"ema": published(song(), label_dim=0)}, "its network knows no classes"),
        ({"ema": published(song(), num_blocks=2)}, "its tensor .* has shape .* is wanted"),
        ({"ema": missing}, "its tensor .* has shape None"),
        ({"ema": published(song(classes=7))}, "its network knows 7 classes, digits has 10"),
        ({"ema": published(big)}, "numbers that 16 bits cannot hold; add --fp32"),
        ({"ema": Persistent("EDMPrecond", "")}, "it holds a EDMPrecond"),
        ({"net": 1}, "holds no network 'ema'"),
        ([1], "holds no network 'ema'"),
    ):
        refused(tmp_path, content, sentence)


def test_other_files_are_told(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"there is no file .*nothing\.pkl"):
        read_edm_pickle(tmp_path / "nothing.pkl")
    torch.save({"a": torch.zeros(2)}, tmp_path / "a.pt")
    with pytest.raises(ValueError, match="is an archive and no pickle"):
        read_edm_pickle(tmp_path / "a.pt")
    (tmp_path / "empty.pkl").touch()
    with pytest.raises(ValueError, match="or nothing in it"):
        read_edm_pickle(tmp_path / "empty.pkl")


def test_the_command_answers_in_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = str(write_pickle(tmp_path / "a.pkl", snapshot(song())))
    assert main(["convert-edm", file, "--dataset", "cifar100", "--out", str(tmp_path)]) == 2
    error = capsys.readouterr().err
    assert error == f"error: {file} cannot be converted: its network knows 10 classes, cifar100 has 100\n"


def test_numbers_of_numpy_are_read(tmp_path: Path) -> None:
    state = read_edm_pickle(write_pickle(tmp_path / "a.pkl", {"ema": published(song())})).state
    told = state["_modules"]["model"].state["_init_kwargs"]
    assert told["dropout"] == pytest.approx(0.13) and isinstance(told["dropout"], float)
    assert state["_modules"]["model"].state["skip_scale"] == float(np.sqrt(0.5))
