"""NVIDIA cards that are there and that PyTorch cannot use: a driver too old for its CUDA, or a build without CUDA."""

import os
from collections.abc import Mapping
from typing import Any

# the oldest driver that each major version of CUDA runs on, by NVIDIA's table of compatibility
OLDEST_DRIVERS = {11: 450, 12: 525, 13: 580}


def order_cards() -> None:
    """Number the cards as the driver's library NVML does, by their place in the machine; before CUDA is first used.

    CUDA by itself puts the fastest first, so that CUDA_VISIBLE_DEVICES would name other cards than the record. An order
    that the user has asked for stays.
    """
    os.environ.setdefault("CUDA_DEVICE_ORDER", "PCI_BUS_ID")


def unused_card(environ: Mapping[str, str], library: Any = None) -> str | None:
    """What is wrong and what to do where there is a card that PyTorch cannot use, in one sentence without its stop.

    None where there is no card, or where CUDA_VISIBLE_DEVICES hides all of them. To be asked where CUDA is not
    available.

    Args:
        library: the module `pynvml`, or a fake of it.
    """
    if environ.get("CUDA_VISIBLE_DEVICES", "0").strip() in ("", "-1"):
        return None
    import torch

    if library is None:
        import pynvml

        library = pynvml
    try:
        library.nvmlInit()
        card, driver = library.nvmlDeviceGetName(library.nvmlDeviceGetHandleByIndex(0)), _driver(library)
        library.nvmlShutdown()
    except Exception:  # no driver, no card, or none that answers
        return None
    found, todo = why_unused(str(torch.__version__), torch.version.cuda, driver)
    return f"there is a card here ({card}), but PyTorch {found}; {todo[:1].lower()}{todo[1:].removesuffix('.')}"


def _driver(library: Any) -> str | None:
    try:
        return str(library.nvmlSystemGetDriverVersion())
    except Exception:  # the card is what matters
        return None


def why_unused(version: str, cuda_build: str | None, driver: str | None) -> tuple[str, str]:
    """Why this PyTorch cannot use a card with this driver, as the end of a sentence, and what to do.

    Args:
        version, cuda_build: of PyTorch; None for a build without CUDA.
        driver: as NVML names it, None where it does not.
    """
    if cuda_build is None:
        return f"{version} is a build for processors only", f"Install a build of it for {_fitting(driver)}."
    named = f"{version} (CUDA {cuda_build}) cannot use it"
    major, oldest = _major(driver), OLDEST_DRIVERS.get(_major(cuda_build) or 0)
    if major is None or oldest is None:
        todo = "Update the NVIDIA driver; look at CUDA_VISIBLE_DEVICES."
        return f"{named} (driver {driver or 'unknown'})", todo
    if major >= oldest:
        todo = "Look at CUDA_VISIBLE_DEVICES; restart the machine if the driver was just updated."
        return f"{named}, although the driver {driver} is new enough", todo
    return (
        f"{named}: its driver {driver} is older than {oldest}, which CUDA {_major(cuda_build)} needs",
        f"Update the NVIDIA driver, or install a build of PyTorch for {_fitting(driver)} (its site lists them by CUDA"
        " version, former releases too).",
    )


def _fitting(driver: str | None) -> str:
    """The newest CUDA that a driver runs."""
    major = _major(driver)
    if major is None:
        return "CUDA"
    fitting = [cuda for cuda, oldest in OLDEST_DRIVERS.items() if oldest <= major]
    return f"CUDA {max(fitting)}" if fitting else f"CUDA {min(OLDEST_DRIVERS)}, after updating the driver"


def _major(version: str | None) -> int | None:
    first = (version or "").partition(".")[0]
    return int(first) if first.isdecimal() else None
