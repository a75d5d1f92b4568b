"""What the array's cells are written in."""

from enum import StrEnum


class Mapping(StrEnum):
    """Expressions for any tool, or LUT6_2 and CARRY8 of UltraScale and UltraScale+."""

    PLAIN = "plain"
    ULTRASCALE = "ultrascale"
