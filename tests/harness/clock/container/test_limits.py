from __future__ import annotations

from harness.clock.container.engine import Image
from harness.clock.container.limits import Limits, restrictions

IMAGE = Image("name", "sha256:1", (), "amd64", ("/data", "/output", "/tmp"))
INFO = {"MemTotal": 16 * 10**9, "NCPU": 64, "MemoryLimit": True, "PidsLimit": False}


def test_a_container_gets_part_of_the_machine() -> None:
    limits = Limits.of_machine(INFO)
    assert limits.memory_bytes + limits.output_bytes < INFO["MemTotal"], "the harness needs some"
    assert 1 <= limits.cores < 64
    assert limits.unheld == ("processes",)
    assert f",nr_inodes={limits.output_files}," in limits.volume_options["o"]


def test_what_the_image_declares_as_volumes_stays_in_memory() -> None:
    """The engine would else make a folder on its disk for each."""
    told = restrictions(Limits.of_machine(INFO), IMAGE, read_only=True, init=True)
    assert set(told["tmpfs"]) == {"/tmp", "/data"}


def test_no_swap_and_no_card_unless_asked_for() -> None:
    told = restrictions(Limits.of_machine(INFO), IMAGE, read_only=True, init=True)
    assert told["mem_limit"] == told["memswap_limit"] and told["device_requests"] is None
    with_card = restrictions(Limits.of_machine(INFO), IMAGE, read_only=True, init=True, gpu="1")
    assert with_card["device_requests"][0]["DeviceIDs"] == ["1"]
