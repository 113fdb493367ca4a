"""Device files that the driver makes when CUDA is first used, made before the clock.

NVIDIA's driver makes /dev/nvidia-uvm with a helper that gains privileges, which nothing under the clock may do
(no-new-privileges). So on a machine that has just started a generator would see no card.
"""

import subprocess
import sys
from pathlib import Path

DRIVER, MADE = "proc/driver/nvidia/version", "dev/nvidia-uvm"
WAKES_IN_S = 60.0
# the driver itself, without PyTorch, and in a process that ends: the harness takes no memory of the card
_USE_CUDA = "import ctypes; ctypes.CDLL('libcuda.so.1').cuInit(0)"


def wake_cards(root: Path = Path("/")) -> None:
    """Use CUDA once where the driver is loaded and has not been used; `root` holds /proc and /dev."""
    if not (root / DRIVER).exists() or (root / MADE).exists():
        return
    command = [sys.executable, "-I", "-S", "-c", _USE_CUDA]
    try:
        subprocess.run(command, check=False, capture_output=True, timeout=WAKES_IN_S)
    except subprocess.TimeoutExpired:
        return  # the generator will say that it finds no card
