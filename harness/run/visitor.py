"""The container of `run --image`: found, its limits and card decided, before the clock."""

import os

from harness.clock.container import engine
from harness.clock.container.limits import OUTPUT, Limits
from harness.clock.container.visitor import Visitor
from harness.gpu.nvml import open_nvml, visible
from harness.report.console import Voice
from harness.run.options import RunOptions


def find_visitor(options: RunOptions, voice: Voice) -> Visitor:
    """The image of `options`, pulled if need be, and what it gets of this engine.

    Raises:
        ValueError: no engine answers, the image cannot be had, or there is no card where one is asked for.
    """
    assert options.image is not None
    client = engine.connect()
    with engine.refusals("the container engine does not say what it has", "see whether it still runs"):
        if left := engine.remove_leftovers(client):
            voice.say(f"Removed from the container engine what {left} killed runs had left.")
        info = client.info()
    image = engine.find_image(client, options.image)
    limits = Limits.of_machine(info)
    if limits.unheld:
        voice.say(f"This container engine cannot limit {', '.join(limits.unheld)}; the container is not held to it.")
    card = _card(options.device, "nvidia" in info.get("Runtimes", {}), voice)
    voice.say(
        f"{image.name} ({image.id[:19]}) is shut in: no network, no privileges, read-only but for {OUTPUT} (at most"
        f" {limits.output_bytes / 1e9:.1f} GB, {limits.output_files:,} files) and memory; {limits.cores} cores,"
        f" {limits.memory_bytes / 1e9:.1f} GB of memory, {'no card' if card is None else f'card {card}'}."
    )
    return Visitor(client, image, limits, card, options.challenge.class_names)


def _card(device: str, engine_gives_cards: bool, voice: Voice) -> str | None:
    """The one card that the container gets, by the driver's number; None for none."""
    if device == "cpu":
        return None
    nvml, why_none = open_nvml()
    cards = visible(nvml.cards(), os.environ) if nvml else ()
    if nvml:
        nvml.close()
    if not cards:
        if device != "auto":
            raise ValueError(
                f"there is no NVIDIA card for the container ({why_none or 'none is visible'}); use --device cpu"
            )
        return None
    if device == "auto" and not engine_gives_cards:
        voice.say("The container gets no card: the engine lacks the NVIDIA container runtime.")
        return None
    return str(cards[0].index)
