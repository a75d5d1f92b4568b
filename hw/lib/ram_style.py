"""What a large memory is made of, as synthesis is told."""


def ram_style(ultra: bool) -> dict[str, str]:
    """Attributes of a `Memory`: blocks of 36 Kbit, or UltraRAM of 4,096 words of 72 bits.

    UltraRAM comes without contents and writes whole bytes. Both have a read port of one cycle, and want a register behind
    it: so nothing else changes.
    """
    return {"ram_style": "ultra" if ultra else "block"}
