"""C++ functions of this package, compiled for this processor when they are first wanted."""

import ctypes
import os
import platform
import shlex
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from torch import Tensor

CHANNELS = 128  # which their loops are made for: the width of the judge's network
_FLAGS = ("-O3", "-march=native", "-fno-math-errno", "-fno-trapping-math", "-shared", "-fPIC")
_X86_FLAGS = ("-mprefer-vector-width=512",)


def find_compiler() -> str | None:
    """The C++ compiler that would be used, from CXX or the path; None where there is none."""
    return os.environ.get("CXX") or shutil.which("g++") or shutil.which("c++") or shutil.which("clang++")


@cache
def build_library(name: str, *definitions: str) -> tuple[ctypes.CDLL | None, str]:
    """Compile `name`.cpp beside this file, which takes about a second, once per process; or None and why there is none.

    Args:
        definitions: of macros, as the compiler's -D takes them.
    """
    compiler = find_compiler()
    if not compiler:
        return None, "there is no C++ compiler here"
    flags = _FLAGS + (_X86_FLAGS if platform.machine() == "x86_64" else ()) + tuple(f"-D{each}" for each in definitions)
    try:
        with tempfile.TemporaryDirectory() as folder:
            built = Path(folder) / f"{name}.so"
            source = Path(__file__).with_name(f"{name}.cpp")
            try:
                _run_alone([*shlex.split(compiler), *flags, str(source), "-o", str(built)])
            except (OSError, subprocess.SubprocessError) as error:
                return None, f"the C++ compiler {compiler} does not work ({type(error).__name__})"
            code = built.read_bytes()
    except OSError as error:
        return None, f"there is no temporary folder to compile in ({error.strerror})"
    try:
        return _load(code, name), ""
    except OSError as error:
        return None, f"what the C++ compiler makes cannot be loaded ({error})"


def pointers(*tensors: Tensor) -> list[int]:
    """Where the elements of each lie in memory, as the functions take them."""
    return [tensor.data_ptr() for tensor in tensors]


def _load(code: bytes, name: str) -> ctypes.CDLL:
    """A library from memory: where a container's /tmp is mounted `noexec`, none in it can be loaded."""
    memory = os.memfd_create(name, os.MFD_CLOEXEC)
    with os.fdopen(memory, "wb", closefd=False) as file:  # the loader would take the next of the same number for this
        file.write(code)
    return ctypes.CDLL(f"/proc/self/fd/{memory}")


def _run_alone(command: Sequence[str]) -> None:
    """Run a compiler; an interruption ends the programs that it has started too. Raises SubprocessError or OSError."""
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, process_group=0) as compiler:
        try:
            code = compiler.wait(timeout=120)
        except BaseException:
            os.killpg(compiler.pid, signal.SIGKILL)
            raise
    if code:
        raise subprocess.CalledProcessError(code, command)
