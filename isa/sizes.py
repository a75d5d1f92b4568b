"""Sizes of the accelerator that no parameter names: the same in every configuration, or following from its parameters.

RTL, compiler, simulation and the models of cycles and resources read them here. Shapes of memories are in `isa.memory`,
latencies in `isa.latency`.
"""

from golden.softmax import EXPONENTIAL_BITS
from isa.config import AcceleratorConfig
from isa.instruction import INSTRUCTION_BITS, Memory, Queue
from isa.memory import word_bits

#: Instructions that a unit may have taken and not completed: also one that is being checked, and those whose writes are on
#: their way.
STARTED = {Queue.DMA: 16, Queue.QMM: 8, Queue.ROW: 8}
#: LOADs and GATHERs whose data is awaited, beyond the two that the DMA's placer holds.
LOADS_AHEAD = 8
#: Bytes; no AXI burst may cross a multiple of it.
AXI_PAGE = 4096
#: Beats of an AXI burst on a port, at most. With several ports this is also what memory is dealt out by: so many beats of
#: a port belong to the first, the next so many to the second, and so on. A longer piece would make short reads queue up
#: at one port; a shorter one could not be a whole burst of the AXI3 that ports of hard processors speak inside.
BURST_BEATS = 16
#: Bursts that the AXI reader of a port has announced and memory has not answered.
OUTSTANDING_BURSTS = 16
#: Beats of all ports' width that wait at each port: while a block of one port is taken those of the others pile up, and a
#: memory in LUTs is no smaller.
PORT_BUFFER = 32
#: Groups that the drain's buffer holds at least: as many as a memory in LUTs does.
BUFFERED_GROUPS = 32
#: Rows that wait between two passes of a row unit, at most.
ROWS_BETWEEN_PASSES = 32
#: Elements of codes between the start of a row unit's last pass and the code writers: as many as a memory in LUTs holds.
CODES_WAITING = 32
#: Of the widest row tiles, so many fit in the row buffer.
ROW_TILES = 2
#: Complete row tiles that wait in the row buffer, beside the one that is read, at most.
ROW_TILES_WAITING = 32
#: Fewest words of a memory between two passes: a block memory of 36 bits is no smaller.
_LEAST_RING_WORDS = 512


def queue_depths(dma_queue: int) -> dict[Queue, int]:
    """Instructions that wait for each kind of unit."""
    return {Queue.DMA: dma_queue, Queue.QMM: 8, Queue.ROW: 8}


def memory_prefixes(ports: int) -> list[str]:
    """What the names of the signals of each AXI master to memory begin with."""
    return ["m_axi_memory"] if ports == 1 else [f"m_axi_memory{port}" for port in range(ports)]


def burst_beats(ports: int) -> int:
    """Beats of ``axi_bits`` that a burst has at most: those of a piece of memory that belongs to one port."""
    return BURST_BEATS // ports


def fetch_room(axi_bits: int) -> int:
    """Instructions that fetch holds: 32 beats of them, at least 8."""
    return max(8, 32 * axi_bits // INSTRUCTION_BITS)


def fetch_chunk(axi_bits: int) -> int:
    """Instructions that fetch asks for together."""
    return max(4, fetch_room(axi_bits) // 4)


def tiles_in_flight(groups: int) -> int:
    """Tiles of ``groups`` groups between the end of their words and their last write: what hides the latency of that way,
    about 31 cycles, from tiles that end as often as they may."""
    return max(4, BUFFERED_GROUPS // groups)


def row_slots(row_columns: int, columns: int, lanes: int) -> int:
    """Slots in the row buffer: each a column tile, or as many as an element of ``lanes`` columns takes."""
    return ROW_TILES * row_columns // max(columns, lanes)


def row_tiles_waiting(slots: int) -> int:
    """Complete row tiles that a row buffer of ``slots`` slots counts."""
    return min(ROW_TILES_WAITING, 1 << (slots - 1).bit_length())


def row_group_bits(row_columns: int, lanes: int) -> int:
    """Bits that number the groups of ``lanes`` elements of the longest row."""
    return (-(-row_columns // lanes) - 1).bit_length()


def ring_words(group_bits: int) -> int:
    """Words of a memory between two passes, for rows of up to ``2^group_bits`` words: two rows and a pipeline."""
    return max(_LEAST_RING_WORDS, 4 << group_bits)


def softmax_sum_bits(row_columns: int) -> int:
    """Bits of the sum of the exponentials of the longest row."""
    return EXPONENTIAL_BITS + row_columns.bit_length()


def joined_beats(config: AcceleratorConfig, memory: Memory) -> int:
    """Beats of a LOAD that an operand memory writes together: as many as its bus, which is as wide as the drain's, has room
    for, of a word. So a LOAD leaves cycles of the write port to others."""
    beats = word_bits(config, memory) // config.axi_bits
    return max(1, min(beats, config.drain_rows * config.depth // config.axi_bits))


def groups_of_a_tile(config: AcceleratorConfig) -> int:
    """R / G: groups of rows in which a tile leaves the array."""
    return config.rows // config.drain_rows
