"""The holder: a container that does nothing but keep the output volume mounted, and with it what is written there.

A volume in memory is empty once the last container that has it mounted ends. The holder runs in the stranger's own
image, so that none other is needed, with a program of our own, since an image need not hold any that waits.
"""

import io
import struct
import tarfile
from collections.abc import Mapping

HOLD = "hold"  # the program's file

# Machine (ELF's number for it) and code, by the architecture's name in Go: wait for a signal, again and again.
_PROGRAMS = {
    # mov eax, 34 (pause); syscall; jmp to the start
    "amd64": (62, "b822000000 0f05 ebf7"),
    # mov x0..x3, 0; mov x8, 73 (ppoll of nothing, for ever); svc 0; b to the start
    "arm64": (183, "000080d2 010080d2 020080d2 030080d2 280980d2 010000d4 faffff17"),
}
_ADDRESS = 0x400000
_PAGE = 0x1000
_HEADERS = 64 + 56  # one file header and one program header


def holding_program(architecture: str) -> bytes:
    """A static Linux program of some hundred bytes that waits until it is killed.

    Raises ValueError for an architecture that has none here.
    """
    if architecture not in _PROGRAMS:
        raise ValueError(f"the image is for {architecture}; only {' and '.join(_PROGRAMS)} are supported")
    machine, code = _PROGRAMS[architecture]
    text = bytes.fromhex(code)
    size = _HEADERS + len(text)
    identity = b"\x7fELF" + bytes([2, 1, 1]).ljust(12, b"\0")  # 64 bits, little endian
    header = struct.pack("<HHIQQQIHHHHHH", 2, machine, 1, _ADDRESS + _HEADERS, 64, 0, 0, 64, 56, 1, 0, 0, 0)
    segment = struct.pack("<IIQQQQQQ", 1, 5, 0, _ADDRESS, _ADDRESS, size, size, _PAGE)  # loaded, read and executed
    return identity + header + segment + text


def archive(files: Mapping[str, bytes]) -> bytes:
    """A tar archive of `files` by name, which everybody may read and execute."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(content), 0o555
            tar.addfile(entry, io.BytesIO(content))
    return packed.getvalue()
