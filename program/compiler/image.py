"""The image: everything external memory holds before a run, each piece aligned."""

from isa.instruction import INSTRUCTION_BYTES
from isa.layout import round_up
from isa.sizes import AXI_PAGE
from program.program import ImagePart


class ImageBuilder:
    """Collects pieces; equal pieces are stored once."""

    def __init__(self, axi_bits: int):
        self.beat = axi_bits // 8
        self.data = bytearray()
        self.pieces = []
        self._offsets = {}

    def add(self, name: str, data: bytes) -> int:
        """Offset of ``data``, whole beats; a piece that fits a page does not cross into the next."""
        data = bytes(data) + bytes(-len(data) % self.beat)
        if data not in self._offsets:
            offset = round_up(len(self.data), max(self.beat, INSTRUCTION_BYTES))
            if len(data) <= AXI_PAGE and offset // AXI_PAGE != (offset + len(data) - 1) // AXI_PAGE:
                offset = round_up(offset, AXI_PAGE)
            self.data += bytes(offset - len(self.data)) + data
            self._offsets[data] = offset
        offset = self._offsets[data]
        self.pieces.append(ImagePart(name, offset, len(data)))
        return offset
