"""What a large memory is made of, as synthesis is told."""

from isa.memory import SHALLOW


def ram_style(ultra: bool, depth: int) -> dict[str, str]:
    """Attributes of a `Memory` of ``depth`` words: blocks of 36 Kbit, LUTs where it is so shallow that blocks would stay
    almost empty, or UltraRAM of 4,096 words of 72 bits.

    UltraRAM comes without contents and writes whole bytes. Both have a read port of one cycle, and want a register behind
    it: so nothing else changes.
    """
    return {"ram_style": "ultra" if ultra else "distributed" if depth <= SHALLOW else "block"}
