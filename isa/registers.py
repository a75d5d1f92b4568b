"""Register map: defined once; decode, constants, C header and documentation come from it. 32-bit registers."""

from enum import IntEnum
from typing import NamedTuple

from isa.errors import Error
from isa.instruction import SAMPLES, Queue, opcodes_of

IDENTIFICATION = 0x4E525442  # "BTRN"
VERSION = 3


class RegisterAccess(IntEnum):
    READ = 0
    WRITE = 1  #: read and write; writing while busy is ignored, except CONTROL and INTERRUPT


class Register(NamedTuple):
    name: str
    address: int
    access: RegisterAccess
    meaning: str


class Control(IntEnum):
    START = 0
    ABORT = 1


class Status(IntEnum):
    BUSY = 0
    DONE = 1
    ERROR = 2


#: Performance counters, in register order: 32 bit, cleared by START, held at the end.
COUNTERS = (
    ("cycles", "cycles from START to the end"),
    ("instructions", "instructions completed"),
    ("qmm_busy", "cycles in which the array accumulated"),
    ("qmm_wait_semaphore", "QMM waited for other queues"),
    ("qmm_wait_drain", "QMM waited for the drain of an earlier tile"),
    ("qmm_idle", "no QMM instruction was there"),
    ("drain_busy", "cycles in which a group was drained"),
    ("drain_stall", "the drain waited for its destination"),
    ("dma_busy", "a LOAD or GATHER was in progress"),
    ("dma_wait_semaphore", "a LOAD or GATHER waited for other queues"),
    ("dma_wait_memory", "a LOAD or GATHER waited for external memory"),
    ("row_wait_semaphore", "a row instruction waited for other queues"),
    ("row_wait_buffer", "a row instruction waited for the row buffer"),
    *((f"{opcode.name.lower()}_busy", f"a {opcode.name} was in progress") for opcode in opcodes_of(Queue.ROW)),
    ("read_beats", "AXI read beats"),
    ("write_beats", "AXI write beats"),
    ("saturations", "residual elements that saturated"),
)
COUNTER_BASE = 0x100

#: Registers of the lengths, by sample.
LENGTHS = tuple(f"length{sample}" for sample in range(SAMPLES))
LENGTH_BASE = 0x60

REGISTERS = (
    Register("identification", 0x00, RegisterAccess.READ, "0x4E525442"),
    Register("version", 0x04, RegisterAccess.READ, "of this map"),
    Register("control", 0x08, RegisterAccess.WRITE, "bit 0 start, ignored while busy; 1 abort, ignored unless busy"),
    Register("status", 0x0C, RegisterAccess.READ, "bit 0 busy, 1 done, 2 error; done and error are cleared by start"),
    Register("error_code", 0x10, RegisterAccess.READ, "first error, see Error; cleared by start"),
    Register("error_instruction", 0x14, RegisterAccess.READ, "index of the instruction that caused it"),
    Register("interrupt_enable", 0x18, RegisterAccess.WRITE, "bit 0 enables the interrupt"),
    Register("interrupt", 0x1C, RegisterAccess.WRITE, "bit 0 pending: set when a run ends or fails; write 1 to clear"),
    Register("image_base_low", 0x20, RegisterAccess.WRITE, "byte address of region IMAGE"),
    Register("image_base_high", 0x24, RegisterAccess.WRITE, ""),
    Register("input_base_low", 0x28, RegisterAccess.WRITE, "byte address of region INPUT"),
    Register("input_base_high", 0x2C, RegisterAccess.WRITE, ""),
    Register("output_base_low", 0x30, RegisterAccess.WRITE, "byte address of region OUTPUT"),
    Register("output_base_high", 0x34, RegisterAccess.WRITE, ""),
    Register("program_offset", 0x38, RegisterAccess.WRITE, "of the first instruction in region IMAGE"),
    Register("program_length", 0x3C, RegisterAccess.WRITE, "instructions, HALT included"),
    Register("watchdog", 0x44, RegisterAccess.WRITE, "cycles without progress before an error; 0 is off"),
    Register("deadline", 0x48, RegisterAccess.WRITE, "cycles that a run may take before an error; 0 is off"),
    Register("error_port", 0x4C, RegisterAccess.READ, "1 + the memory port that answered with it, or never; 0 is none"),
    Register("shape", 0x50, RegisterAccess.READ, "log2 of R, C, K, D in bits 7:0, 15:8, 23:16, 31:24"),
    Register(
        "lanes", 0x54, RegisterAccess.READ, "log2 of row lanes in bits 7:0, of the DMA's bits in 15:8, of ports in 23:16"
    ),
    Register("configuration", 0x58, RegisterAccess.READ, "checksum of all sizes, see `isa.config`; must be the program's"),
    *(
        Register(
            name,
            LENGTH_BASE + 4 * sample,
            RegisterAccess.WRITE,
            f"tokens of sample {sample} that are not padding, 16 bit; 0: there is no such sample",
        )
        for sample, name in enumerate(LENGTHS)
    ),
    *(
        Register(f"counter_{name}", COUNTER_BASE + 4 * index, RegisterAccess.READ, meaning)
        for index, (name, meaning) in enumerate(COUNTERS)
    ),
)

ADDRESS = {register.name: register.address for register in REGISTERS}


def to_markdown() -> str:
    """The documentation table."""
    lines = ["| address | register | access | meaning |", "|---|---|---|---|"]
    for register in REGISTERS:
        access = "read/write" if register.access is RegisterAccess.WRITE else "read"
        lines.append(f"| 0x{register.address:03X} | `{register.name}` | {access} | {register.meaning} |")
    return "\n".join(lines) + "\n"


def to_c_header() -> str:
    """The same as C constants: addresses in bytes, status and control as masks, errors as an enumeration."""
    lines = [
        "/* Registers of the Bittern accelerator. Generated from isa/registers.py by `bittern documents`. */",
        "#ifndef BITTERN_REGISTERS_H",
        "#define BITTERN_REGISTERS_H",
        "",
        f"#define BITTERN_IDENTIFICATION_VALUE 0x{IDENTIFICATION:08X}u",
        f"#define BITTERN_VERSION_VALUE {VERSION}u",
        "",
        *(f"#define BITTERN_{r.name.upper()} 0x{r.address:03X}u{_comment(r)}" for r in REGISTERS),
        f"#define BITTERN_COUNTERS {len(COUNTERS)}u /* 32-bit counters in a row from BITTERN_COUNTER_CYCLES on */",
        "",
        *(f"#define BITTERN_CONTROL_{bit.name} 0x{1 << bit:X}u" for bit in Control),
        *(f"#define BITTERN_STATUS_{bit.name} 0x{1 << bit:X}u" for bit in Status),
        "",
        "enum bittern_error {",
        *(f"    BITTERN_ERROR_{error.name} = {error.value}," for error in Error),
        "};",
        "",
        "#endif",
    ]
    return "\n".join(lines) + "\n"


def _comment(register):
    access = "read/write" if register.access is RegisterAccess.WRITE else "read"
    return f" /* {access}{': ' if register.meaning else ''}{register.meaning} */"
