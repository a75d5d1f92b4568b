"""The code writers of the row units: codes to words, words to the operand memories."""

from collections.abc import Sequence
from typing import NamedTuple

from codesign.cycles.events import Port

TAKE = 2  #: from an element at the code writer to its word


class CodeWriter:
    """Both code writers: K / L elements to a word, a word to so many writes as the codes have bits.

    A word is written while the next one fills, and instructions follow each other like rows of one.
    """

    class State(NamedTuple):
        taken: int  #: cycle of the last element
        moved: int  #: of the last word's move from filling to writing
        written: int  #: of its last write, a cycle after it left the word
        stalls: int  #: cycles in which a write waited for the drain

    def __init__(self, parts: int):
        self._parts = parts
        self._state = self.State(-1, -1, -1, 0)
        self._fills: list[int] = []
        self._bits = 0
        self._ports: Sequence[Port] = ()

    def begin(self, groups: int, bits: int, ports: Sequence[Port]) -> None:
        """The rows that follow have so many elements and bits, and go to these memories."""
        self._fills = [min(self._parts, groups - first) for first in range(0, groups, self._parts)]
        self._bits, self._ports = bits, ports

    @property
    def last_taken(self) -> int:
        """The cycle of the last element so far."""
        return self._state.taken

    def announce(self, time: int) -> None:
        """Writes of a row whose first element comes in cycle ``time``."""
        begin = max(time + self._fills[0] + 2, self._state.written + 1)
        writes = len(self._fills) * self._bits
        for port in self._ports:
            port.hold("row", begin, begin + writes, writes)

    def row(self, time: int) -> State:
        """The state after a row whose first element comes in cycle ``time``."""
        taken, moved, written, stalls = self._state
        taken = max(taken, time - 1)
        for fill in self._fills:
            taken = max(taken, moved - 1) + fill
            moved = max(taken + 1, written - 1)
            smooth = moved + 2 + self._bits
            end = max((port.turns(moved + 2, self._bits) for port in self._ports), default=smooth)
            written, stalls = end - 1, stalls + end - smooth
        return self.State(taken, moved, written, stalls)

    def accept(self, after: State) -> str | None:
        """Go on from ``after``; returns what held the row up, or None."""
        stalls = after.stalls - self._state.stalls
        late = after.moved - after.taken - 1
        for port in self._ports:
            port.extend("row", after.written + 1)
            port.hold_up(stalls)
        self._state = after
        if stalls > sum(self._fills) // 2:
            return "write port"
        return "code writer" if late > 0 and self._bits > self._fills[0] else None
