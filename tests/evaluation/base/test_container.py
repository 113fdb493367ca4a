"""What a container changes for its user, from what the kernel says of its mounts."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from evaluation.base.command_line import guarded
from evaluation.base.container import as_seen_outside, container_kind, is_lost, mount_of, permission_advice

OVERLAY = "100 90 0:50 / / rw,relatime - overlay overlay rw\n"
RESULTS = "101 100 8:1 /home/me/results /results rw,relatime - ext4 /dev/sda1 rw\n"
SCRATCH = "102 100 0:51 / /tmp rw,nosuid,noexec - tmpfs tmpfs rw\n"
DISK = "100 90 8:1 / / rw,relatime - ext4 /dev/sda1 rw\n"


def inside(root: Path, mountinfo: str, marker: str = ".dockerenv", uid_map: str = "0 0 4294967295") -> Path:
    (root / "proc/self").mkdir(parents=True)
    (root / "run").mkdir()
    (root / marker).touch()
    (root / "proc/self/mountinfo").write_text(mountinfo)
    (root / "proc/self/uid_map").write_text(uid_map + "\n")
    return root


def test_kinds_of_containers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert container_kind(inside(tmp_path / "a", OVERLAY)) == "docker"
    assert container_kind(inside(tmp_path / "b", OVERLAY, "run/.containerenv")) == "podman"
    assert container_kind(inside(tmp_path / "c", OVERLAY, "nothing")) is None
    assert container_kind(inside(tmp_path / "d", DISK)) is None, "a virtual machine that was made from an image"
    monkeypatch.setenv("APPTAINER_CONTAINER", "/somewhere/image.sif")
    assert container_kind(tmp_path / "c") == "apptainer"


def test_what_is_on_no_mount_is_lost(tmp_path: Path) -> None:
    root = inside(tmp_path, OVERLAY + RESULTS + SCRATCH)
    assert mount_of(Path("/results/runs/a"), root).point == Path("/results")
    assert not is_lost(Path("/results/runs/not there yet"), root)
    assert is_lost(Path("/cache"), root) and is_lost(Path("/tmp/a"), root) and is_lost(Path("/resultsandmore"), root)


def test_nothing_is_lost_outside_a_container(tmp_path: Path) -> None:
    assert not is_lost(Path("/tmp"), inside(tmp_path, OVERLAY, "nothing"))


def test_paths_are_told_as_the_user_finds_them(tmp_path: Path) -> None:
    root = inside(tmp_path, OVERLAY + RESULTS)
    assert as_seen_outside(Path("/results/runs/a"), root) == "runs/a in the folder mounted at /results"
    assert as_seen_outside(Path("/elsewhere/a"), root) == "/elsewhere/a"


def test_advice_on_permissions_names_the_options_that_help(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mounted = OVERLAY + RESULTS.replace("/results rw", f"{tmp_path} rw")
    who = f"belongs to user {tmp_path.stat().st_uid} and this is user {os.getuid()}; "
    told = permission_advice(tmp_path / "runs/a", inside(tmp_path / "a", mounted))
    assert told.startswith(f"{tmp_path} {who}") and '--user "$(id -u):$(id -g)"' in told and "docker run -v" in told
    # An ordinary user's engine: whose folder it is in here, root's or one's own, that user can write to it.
    owner = f"give --user {tmp_path.stat().st_uid}:{tmp_path.stat().st_gid}"
    for name, uid_map in {"plain": "0 1000 1\n1 100000 65536\n", "keep-id": "0 1 1000\n1000 0 1\n"}.items():
        rootless = inside(tmp_path / name, mounted, uid_map=uid_map)
        assert permission_advice(tmp_path / "runs/a", rootless).endswith(owner)
    read_only = inside(tmp_path / "c", mounted.replace(f"{tmp_path} rw", f"{tmp_path} ro"))
    assert permission_advice(tmp_path / "runs", read_only) == f"{tmp_path} is mounted read-only: leave out :ro"
    assert '-v "$PWD/results:/results"' in permission_advice(Path("/cache/a"), inside(tmp_path / "d", OVERLAY))
    assert permission_advice(Path("/cache/a"), inside(tmp_path / "e", DISK)) == ""
    (tmp_path / "runs").mkdir()  # by an earlier container of another user
    told = permission_advice(tmp_path / "runs/a", tmp_path / "a")
    assert told == f"{tmp_path}/runs {who}outside, give it to that user, or name another folder"
    assert permission_advice(tmp_path / "runs/a", tmp_path / "plain").endswith(owner)
    monkeypatch.setenv("APPTAINER_CONTAINER", "/somewhere/image.sif")
    assert "--bind results:/results" in permission_advice(Path("/cache/a"), tmp_path / "d")


def test_a_refused_file_is_told_with_that_advice(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("evaluation.base.command_line.permission_advice", lambda path: f"advice on {path}")
    for error, told in (
        (
            PermissionError(13, "Permission denied", "/cache/a"),
            "Error: /cache/a: Permission denied; advice on /cache/a\n",
        ),
        (OSError(30, "Read-only file system", "/cache/a"), "Read-only file system; advice on /cache/a\n"),
        (OSError(28, "No space left on device", "/cache/a"), "Error: /cache/a: No space left on device\n"),
        (OSError(30, "Read-only file system"), "Error: Read-only file system\n"),
    ):
        with pytest.raises(BaseException) as stopped, guarded(debug=False):
            raise error
        assert getattr(stopped.value, "exit_code", None) == 2
        assert capsys.readouterr().err.endswith(told)
