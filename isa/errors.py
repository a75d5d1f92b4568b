"""What the hardware reports as an error."""

from enum import IntEnum


class Error(IntEnum):
    NONE = 0
    ILLEGAL_OPCODE = 1
    ADDRESS_RANGE = 2  #: on-chip address outside its memory
    SHAPE = 3  #: a field that makes no sense, such as zero rows
    AXI_READ = 4
    AXI_WRITE = 5
    INDEX_RANGE = 6  #: gathered index at or beyond the limit
    WATCHDOG = 7
    NO_HALT = 8  #: the program ended without HALT
    ABORTED = 9  #: the host wrote ABORT
    DEADLINE = 10  #: the run took as many cycles as register ``deadline`` allows
    LEFTOVER = 11  #: HALT found rows in the row buffer that no instruction took
    LOST = 12  #: the run ended, or its state was none, without an end or an error: the hardware was upset
