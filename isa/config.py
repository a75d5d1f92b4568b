"""Accelerator configuration: the numbers that size the hardware, and their rules. Presets by name are in `isa.presets`."""

import zlib
from dataclasses import dataclass, fields
from enum import IntFlag


class Uram(IntFlag):
    """Memories that are made of UltraRAM: blocks of 4,096 words of 72 bits that only some parts have. They behave alike."""

    NONE = 0
    LEFT = 1
    RIGHT = 2
    RESIDUAL = 4
    ROW_BUFFER = 8

    @classmethod
    def named(cls, text: str) -> "Uram":
        """Of names with + between them, as in ``left+residual``, or ``none``. Raises ValueError for another name."""
        known = {name.lower(): member for name, member in cls.__members__.items()}
        found = cls.NONE
        for name in text.split("+"):
            if name not in known:
                raise ValueError(f"uram takes names of {', '.join(known)} with + between them, not {name!r}")
            found |= known[name]
        return found


#: Width of the narrowest AXI data bus that anything here has to do with.
LEAST_PORT_BITS = 32


@dataclass(frozen=True)
class AcceleratorConfig:
    """Sizes of one accelerator. Raises ValueError, naming rule and value, for one that cannot be built.

    Parameters
    ----------
    rows, columns, depth : int
        R, C, K: the array takes R words and C words of K bits a cycle. Powers of two.
    drain : int
        D: accumulators rescaled per cycle, a multiple of C; D / C rows of a tile leave together.
    row_lanes : int
        Elements per cycle of softmax, norm and store.
    axi_bits : int
        Bits of external memory that the DMA takes a cycle, over all ports.
    left_depth, right_depth : int
        Words of K bits in each of the R (C) banks of the operand memories.
    constant_depth : int
        Words of requantization parameters, of C columns each.
    norm_depth : int
        Words of the norms' parameters, of row_lanes channels each.
    residual_depth : int
        Words of row_lanes residual elements.
    row_columns : int
        Columns of the row buffer: the widest row that softmax, norm or store can take.
    accumulator_bits : int
        Width of an accumulator; the compiler refuses a product that could exceed it.
    dma_queue : int
        LOADs and GATHERs that wait in the DMA queue: how far weights are fetched ahead.
    ports : int
        AXI masters to external memory, 1, 2 or 4; each has ``port_bits``.
    uram : int
        A sum of `Uram`: memories made of UltraRAM, for parts that have it.
    """

    rows: int
    columns: int
    depth: int
    drain: int
    row_lanes: int
    axi_bits: int
    left_depth: int
    right_depth: int
    constant_depth: int
    norm_depth: int
    residual_depth: int
    row_columns: int
    accumulator_bits: int = 24
    dma_queue: int = 8
    ports: int = 1
    uram: int = Uram.NONE

    def __post_init__(self) -> None:
        most = max(Uram) * 2 - 1
        if not 0 <= self.uram <= most:
            raise ValueError(f"uram must be a sum of memories, in 0..{most}, not {int(self.uram)}")
        object.__setattr__(self, "uram", Uram(self.uram))  # from a file it comes as a number
        for field in fields(self):
            if field.name == "uram":
                continue
            value = getattr(self, field.name)
            if value < 1:
                raise ValueError(f"{field.name} must be at least 1, not {value}")
        for name in ("rows", "columns", "depth", "drain", "row_lanes", "axi_bits", "dma_queue"):
            value = getattr(self, name)
            if value & (value - 1):
                raise ValueError(f"{name} must be a power of two, not {value}")
        for name in ("left_depth", "right_depth", "constant_depth", "norm_depth", "residual_depth"):
            if getattr(self, name) > 1 << 16:
                raise ValueError(f"{name} must be at most 65536 (16-bit addresses), not {getattr(self, name)}")
        self._require(self.depth >= 8, "depth must be at least 8 (whole bytes), not", self.depth)
        self._require(self.columns <= self.depth, f"columns must be at most depth ({self.depth}), not", self.columns)
        self._require(self.drain >= self.columns, f"drain must be at least columns ({self.columns}), not", self.drain)
        most = self.columns * min(self.rows, self.columns)
        self._require(self.drain <= most, f"drain must be at most columns * min(rows, columns) = {most}, not", self.drain)
        self._require(
            2 <= self.row_lanes <= self.depth, f"row_lanes must be in 2..depth ({self.depth}), not", self.row_lanes
        )
        self._require(
            self.row_columns % self.depth == 0,
            f"row_columns must be a multiple of depth ({self.depth}), not",
            self.row_columns,
        )
        least = max(32, self.depth)
        most = min(512, self.rows * self.depth, self.columns * self.depth, 64 * self.columns, 16 * self.row_lanes)
        self._require(
            least <= self.axi_bits <= most,
            f"axi_bits must be in {least}..{most} (32, depth, and the narrowest memory it fills), not",
            self.axi_bits,
        )
        self._require(self.ports in (1, 2, 4), "ports must be 1, 2 or 4, not", self.ports)
        self._require(
            self.port_bits >= LEAST_PORT_BITS,
            f"axi_bits / ports must be at least {LEAST_PORT_BITS}, the narrowest AXI port, not",
            self.port_bits,
        )
        self._require(2 <= self.dma_queue <= 64, "dma_queue must be in 2..64, not", self.dma_queue)
        if self.uram & (Uram.LEFT | Uram.RIGHT):
            self._require(self.columns % 8 == 0, "columns must be whole bytes for operands in uram, not", self.columns)
        self._require(16 <= self.accumulator_bits <= 32, "accumulator_bits must be in 16..32, not", self.accumulator_bits)

    @staticmethod
    def _require(condition, rule, value):
        if not condition:
            raise ValueError(f"{rule} {value}")

    @property
    def checksum(self) -> int:
        """CRC-32 of names and values of all sizes: what the register ``configuration`` holds.

        Not of ``ports``: memory looks the same through any number of them, so a program does not know it.
        """
        text = ",".join(f"{field.name}={getattr(self, field.name)}" for field in fields(self) if field.name != "ports")
        return zlib.crc32(text.encode())

    @property
    def port_bits(self) -> int:
        """Width of the data of each AXI master."""
        return self.axi_bits // self.ports

    def is_uram(self, memory: Uram) -> bool:
        """Whether ``memory`` is made of UltraRAM."""
        return bool(self.uram & memory)

    @property
    def drain_rows(self) -> int:
        """Rows of a tile that leave together."""
        return self.drain // self.columns
