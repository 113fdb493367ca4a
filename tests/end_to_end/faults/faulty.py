"""Programs of strangers that misbehave: `python faulty.py FAULT`. Each is run as a `--command` under the clock."""

import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "escapes"))

from painter import OUTPUT, leave_a_painter_behind, paint, paint_each_class, path, png

RUN = OUTPUT.parent


def hang() -> None:
    while True:
        time.sleep(60)


def hang_at_start() -> None:
    hang()


def hang_halfway() -> None:
    paint_each_class()
    hang()


def hang_at_exit() -> None:
    import atexit

    atexit.register(hang)
    paint_each_class()


def raise_an_error() -> None:
    paint_each_class()
    raise RuntimeError("no more")


def segfault() -> None:
    paint_each_class()
    os.kill(os.getpid(), signal.SIGSEGV)


def end_without_images() -> None:
    pass


def print_for_ever() -> None:
    paint_each_class()
    while True:
        os.write(1, b"all work and no play\n" * 4000)


def fork_bomb() -> None:
    """Sixty-four processes, each replaced when it dies."""
    paint_each_class()
    depth = 0
    while depth < 6:
        if os.fork() == 0 or os.fork() == 0:
            depth += 1
        else:
            while True:
                os.wait()
                if os.fork() == 0:
                    break
            depth += 1
    hang()


def stop_itself() -> None:
    paint_each_class()
    os.kill(os.getpid(), signal.SIGSTOP)


def ignore_the_warning() -> None:
    paint_each_class()
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    hang()


def leave_a_writer_behind() -> None:
    paint_each_class()
    leave_a_painter_behind(first_index=500_000)


def kill_its_parent() -> None:
    parent = os.getppid()
    paint_each_class()
    os.kill(parent, signal.SIGKILL)
    hang()


def signal_the_harness(number: signal.Signals) -> None:
    paint_each_class()
    stat = Path(f"/proc/{os.getppid()}/stat").read_text()  # of the guard
    os.kill(int(stat.rpartition(")")[2].split()[1]), number)
    hang()


def interrupt_the_harness() -> None:
    signal_the_harness(signal.SIGINT)


def kill_the_harness() -> None:
    signal_the_harness(signal.SIGKILL)


def kill_everything() -> None:
    """All that it may signal; in a process namespace that is nothing but itself and its own."""
    paint_each_class()
    if os.getppid() == 1:  # never on a machine's own processes
        with suppress(ProcessLookupError):
            os.kill(-1, signal.SIGKILL)
    hang()


def remove_the_output() -> None:
    paint_each_class()
    shutil.rmtree(OUTPUT)


def remove_the_run() -> None:
    paint_each_class()
    shutil.rmtree(RUN)


def output_becomes_a_link() -> None:
    paint_each_class()
    OUTPUT.rename(RUN / "elsewhere")
    OUTPUT.symlink_to(RUN / "elsewhere")


def output_becomes_a_file() -> None:
    shutil.rmtree(OUTPUT)
    OUTPUT.write_text("no folder")


def output_becomes_read_only() -> None:
    paint_each_class()
    for folder in (OUTPUT, *OUTPUT.iterdir()):
        folder.chmod(0o555)


def remove_its_images() -> None:
    paint_each_class()
    for folder in OUTPUT.iterdir():
        shutil.rmtree(folder)


def forge_the_record() -> None:
    paint_each_class()
    for name in ("record.json", "report.html", ".generation.json", "events.jsonl", "log.txt"):
        (RUN / name).write_text('{"outcome": "ok", "images": 1000000}')


def junk_everywhere() -> None:
    paint_each_class()
    for number in range(300):
        path(number % 10, 0).with_name(f"notes-{number}.txt").write_text("no image")
        (OUTPUT / f"junk-{number}.bin").write_bytes(os.urandom(100))


def broken_images() -> None:
    paint_each_class()
    whole = png(3, 1)
    path(3, 1).write_bytes(whole[: len(whole) // 2])
    path(3, 2).write_bytes(b"")
    path(3, 3).write_bytes(os.urandom(3000))


def pipes_and_links_as_images() -> None:
    paint_each_class()
    os.mkfifo(path(2, 1))
    path(2, 2).symlink_to("/dev/zero")
    path(2, 3).symlink_to(path(2, 3))
    path(2, 4).mkdir()


def one_class_only() -> None:
    for index in range(20):
        paint(4, index)


def huge_image() -> None:
    """Of some kilobytes, which would be a gigabyte of pixels."""
    import struct
    import zlib

    paint_each_class()
    side = 20_000
    packed = zlib.compressobj(1)
    rows = b"".join(packed.compress(b"\0" * (3 * side + 1)) for _ in range(side)) + packed.flush()
    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    path(5, 1).write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b""))


def times_of(seconds: float) -> None:
    paint_each_class()
    for file in OUTPUT.rglob("*.png"):
        os.utime(file, (seconds, seconds))


def future_times() -> None:
    times_of(4e9)


def past_times() -> None:
    """What a wall clock leaves that is set back while the images are written."""
    times_of(time.time() - 3600)


def fill_the_disk() -> None:
    paint_each_class()
    with suppress(OSError), (OUTPUT / "filler.bin").open("wb") as filler:
        while True:
            filler.write(os.urandom(1 << 16))
            filler.flush()
    for index in range(1, 50):
        with suppress(OSError):
            paint(index % 10, index)


def take_all_memory() -> None:
    paint_each_class()
    taken = []
    while True:
        taken.append(b"x" * (8 << 20))


def no_more_descriptors() -> None:
    paint_each_class()
    held = []
    while True:
        try:
            held.append(os.open("/dev/null", os.O_RDONLY))
        except OSError:
            os._exit(9)


def start_a_service() -> None:
    """A shell that ignores everything, in a session of its own, and its parent gone."""
    paint_each_class()
    subprocess.Popen(["sh", "-c", "trap '' HUP TERM INT; while :; do sleep 60; done"], start_new_session=True)


if __name__ == "__main__":
    globals()[sys.argv[1]]()
