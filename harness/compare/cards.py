"""Which cards a benchmark may use."""


def parse_cards(text: str) -> tuple[int, ...]:
    """`0-3,6` as card numbers, each once. Raises ValueError for anything else."""
    cards: set[int] = set()
    for part in text.split(","):
        first, dash, last = part.partition("-")
        if not first.isdigit() or (dash and not last.isdigit()) or (dash and int(last) < int(first)):
            raise ValueError(f"{part!r} is no card or range of cards; write 0-3 or 0,2")
        cards |= set(range(int(first), int(last or first) + 1))
    return tuple(sorted(cards))
