"""Programs for containers of any image: static Linux programs of some hundred bytes that need nothing but the kernel.

They run in the stranger's own image, so that none other is needed, and an image need not hold any program of use.
"""

import base64
import io
import struct
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass

_ADDRESS = 0x400000
_PAGE = 0x1000
_HEADERS = 64 + 56  # one file header and one program header
_MACHINES = {"amd64": 62, "arm64": 183}  # ELF's numbers, by the architecture's name in Go


@dataclass(frozen=True)
class Program:
    """One program.

    Attributes:
        name: of its file.
        code: machine code by architecture, in base 64; its first instruction is run first.
    """

    name: str
    code: Mapping[str, str]

    def for_architecture(self, architecture: str) -> bytes:
        """The program's file. Raises ValueError for an architecture that has none here."""
        if architecture not in self.code:
            raise ValueError(f"the image is for {architecture}; only {' and '.join(self.code)} are supported")
        text = base64.b64decode(self.code[architecture])
        size = _HEADERS + len(text)
        identity = b"\x7fELF" + bytes([2, 1, 1]).ljust(12, b"\0")  # 64 bits, little endian
        entry, machine = _ADDRESS + _HEADERS, _MACHINES[architecture]
        header = struct.pack("<HHIQQQIHHHHHH", 2, machine, 1, entry, 64, 0, 0, 64, 56, 1, 0, 0, 0)
        segment = struct.pack("<IIQQQQQQ", 1, 5, 0, _ADDRESS, _ADDRESS, size, size, _PAGE)  # loaded, read, executed
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


# Waits for a signal, again and again.
HOLD = Program(
    "hold",
    {
        # mov eax, 34 (pause); syscall; jmp to the start
        "amd64": "uCIAAAAPBev3",
        # mov x0..x3, 0; mov x8, 73 (ppoll of nothing, for ever); svc 0; b to the start
        "arm64": "AACA0gEAgNICAIDSAwCA0igJgNIBAADU+v//Fw==",
    },
)

# `list_changes.c`, which says what it does, compiled by GCC 12 with
#   -Os -ffreestanding -fno-pic -fno-stack-protector -fno-asynchronous-unwind-tables -fno-unwind-tables
#   -fno-tree-loop-distribute-patterns -nostdlib -static -Wl,-N,--build-id=none,-Ttext=0x400078
# and taken out of that by `objcopy -O binary -j .text`.
LIST_CHANGES = Program(
    "list-changes",
    {
        "amd64": """
        SIHsKBABADHAMdJFMdKJRCQcSI10JAhFMcBIide45AAAAA8Fi1QkEEiLdCQISI18JBwxyegoAQAASI10JAZFMdJFMcBmx0QkBi4AuAEBAAC6
        AAADAEjHx5z///8PBUiFwHkdQbnnAAAAvwEAAAAx0kUx0kUxwEyJyEiJ1g8F6+5Iica5AQAAAEiNfCQcMdLoJwEAADHJMdIx9kiNfCQc6L0A
        AABIjXwkHOgbAAAAQbnnAAAAMdJFMdJFMcBMichIiddIidYPBevrVUmJ+UiNrwQQAAC/AQAAAFMx20GLETnTcziJ3inaRTHSRTHASAHuSIn4
        DwVIhcB/HUG55wAAAL8BAAAAMdJFMdJFMcBMichIidYPBevuAcPrwTHAQYkBW13DiwdBVEmJ9FWJ1QHQU0iJ+z0AAAEAdgXoiv///zHAOehz
        F4sTjUoBiQtBigwESP/AiIwTBBAAAOvlW11BXMNTSIn7SIPsEEiJdCQISI10JAiJVCQEuggAAACJDCTon////0iNdCQESInfugQAAADojf//
        /0iJ5kiJ37oEAAAA6H3///+LFCRIjXMESInf6G7///9Ig8QQW8NBV0FWQYnWQVVBVEGJzFVTSIn7SIHsGEEAAEiJNCRMjbwkEAEAAEiLPCRF
        MdJFMcC42QAAALoAQAAATIn+DwVIicVIhcAPjv4AAABFMe1LjQQvD7dQEEkB1YB4Ey51FYB4FAAPhNIAAABmg3gULg+ExwAAAEiNcBMxyUWN
        DA5I/8FAinwIEkCE/3QHQoh8CwTr6EiLPCRBuv8HAABMjUQkELhMAQAAugABAAAPBUiFwA+IhQAAAItEJCxmJQDwZj0AgHUWi1QkeEiLdCRw
        RInJSInf6M7+///rYUGD/AV0W2Y9AEB1VUiLPCRFMdJFMcC4AQEAALoAAAMADwVIiUQkCEiFwHg1RInISIt0JAhBjVEBSInfxkQDBC9BjUwk
        Aejc/v//MdJFMdJFMcC4AwAAAEiLfCQISInWDwVJOe0PjAr////p3f7//0iBxBhBAABbXUFcQV1BXkFfww==
        """,
        "arm64": """
        /8MA0SgOgNL/R0DRAACA0uFjAJECAIDSAwCA0gQAgNL9ewCp/QMAkf8rALkBAADU4Q9A+eCjAJHiI0C5YQAAlMAFgFLhQwCRCAeA0gIAmNID
        AIDSBACA0uAjAHlgDICSAQAA1GAA+LYgAIBSDwAAlOEDAKojAIBS4KMAkQIAgFJmAACUAwCAUgIAgFIBAIDS4KMAkUsAAJTgowCRDAAAlAAA
        gFLy//8XBXxAk+ADBarIC4DSAQCA0gIAgNIDAIDSBACA0gEAANT5//8XgQCC0uUDAKoHAAGLBgCAUqIAQLlfAAZraAAAVL8AALnAA1/W4UAm
        i0IABksICIDSIACA0gMAgNIEAIDSAQAA1B8AAPGsAABU/Xu/qSAAgFL9AwCR4v//l8YAAAvt//8X6wMBqgEAQLnpAwCq6gMCKkEAAQs/QEBx
        SQIAVP17v6n9AwCR3///lwMAgNJfAQNraAAAVP17wajAA1/WIAFAuQEEABEhAQC5IEEgiwAEQJFhaWM4YwQAkQEQADn0//8XAwCA0l8BA2tI
        AABUwANf1iABQLkBBAARIQEAuSBBIIsABECRYWljOGMEAJEBEAA59f//F/17vqnsAwCq/QMAkeMLAikCAYBS4Q8A+eFjAJHU//+X4VMAkeAD
        DKqCAIBS0P//l+FDAJHgAwyqggCAUsz//5fiE0C5gREAkeADDKrI//+X/XvCqMADX9YMKojS/2Msy/17AKn9AwCR81MBqfMDAKr0AwGq92MD
        qfgDAir3AwMq9VsCqfkjAPngAxSq4UMFkagHgNICAIjSAwCA0gQAgNIBAADU9gMAqh8AAPEsAQBU/XtAqQwqiNLzU0Gp9VtCqfdjQ6n5I0D5
        /2Msi8ADX9YZAIDS4EMFkQQAGYuAIEB5OQMAi4BMQDkfuABxAQEAVIBQQDlgAwA0gAhA+cEFwNIAPGCSHwAB68ACAFSBTACR5QMYKuADAaoC
        AEA5ggIANeADFKrkQwGRaCSA0gIggNLj/4DSAQAA1EAB+Lfg20B5AAwUEh8gQHHBAQBU4VtA+eMDBSriu0C54AMTqqn//5c/Axbri/v/VMj/
        /xdjQiWLAAQAkaUEABFiEAA55///Fx8QQHHh/v9U/xYAcaD+/1TgAxSqCAeA0gIAmNIDAIDSBACA0gEAANT1AwCqoP3/t2BCJYvhBYBS4wYA
        EaIEABEBEAA54QMVquADE6qj//+X4AMVqigHgNIBAIDSAgCA0gMAgNIEAIDSAQAA1N3//xc=
        """,
    },
)
