"""The interpreter: a program on modelled memories, instruction by instruction, each by the function of its unit."""

from typing import Any, NamedTuple

import numpy as np

from golden import layernorm, softmax
from golden.codes import Kind, from_planes, planes, unpack_words
from golden.qmm import correct, count
from golden.rescale import rescale_folded
from golden.residual import add_residual
from isa.instruction import Destination, Memory, Opcode, Region
from isa.layout import ceil_div
from isa.registers import Error
from program.memory_image import unpack_output, unpack_symbol


class MachineError(ValueError):
    """What the hardware reports as an error: its code and the index of the instruction."""

    def __init__(self, code, index, message):
        super().__init__(f"instruction {index}: {message}")
        self.code, self.index = code, index


class _Fault(Exception):
    def __init__(self, code, message):
        super().__init__(message)
        self.code = code


class Result(NamedTuple):
    """Logits as in `golden.encoder.encode`, all tensors by name, and the number of saturated residual elements."""

    logits: np.ndarray
    tensors: dict[str, np.ndarray]
    saturated: int


def run(program, input_data, length):
    """Run one sample, packed by `memory_image.pack_input`; returns `Result`. Raises MachineError."""
    machine = Interpreter(program, input_data, length)
    tensors = {}
    ready = {}
    for name, symbol in program.symbols.items():
        ready.setdefault(symbol.ready, []).append(name)
    for index in range(len(program.instructions)):
        machine.step(index)
        tensors |= {name: unpack_symbol(program, name, machine.memories) for name in ready.get(index, ())}
    return Result(unpack_output(program, machine.memories[None]), tensors, machine.saturated)


class Interpreter:
    """The state of the machine. ``memories`` is as `memory_image.unpack_symbol` takes it, with CONSTANT
    (words, C) uint64, NORM (words, L, 4) int16 and, under None, the bytes of region OUTPUT.

    It executes in program order, which a program without hazards cannot tell from the hardware.
    """

    def __init__(self, program, input_data, length):
        c = program.config
        self.program, self.config, self.length = program, c, length
        self.memories: dict[Memory | None, Any] = {
            Memory.LEFT: np.zeros((c.left_depth, c.rows, c.depth // 8), np.uint8),
            Memory.RIGHT: np.zeros((c.right_depth, c.columns, c.depth // 8), np.uint8),
            Memory.CONSTANT: np.zeros((c.constant_depth, c.columns), np.uint64),
            Memory.NORM: np.zeros((c.norm_depth, c.row_lanes, 4), np.int16),
            Memory.RESIDUAL: np.zeros((c.residual_depth, c.row_lanes), np.int16),
            None: bytearray(program.output.bytes),
        }
        self.regions = {Region.IMAGE: program.image, Region.INPUT: bytes(input_data)}
        #: Row tiles on their way to the row units, (R, columns) int64 each.
        self.row_buffer = []
        self.saturated = 0

    def step(self, index):
        """Execute one instruction."""
        instruction = self.program.instructions[index]
        try:
            getattr(self, f"_{instruction.opcode.name.lower()}")(instruction)
        except _Fault as fault:
            raise MachineError(fault.code, index, str(fault)) from None
        except IndexError as error:
            raise MachineError(Error.ADDRESS_RANGE, index, f"an address is outside its memory ({error})") from None

    def _halt(self, _):
        pass

    def _fetch(self, region, offset, size):
        data = self.regions[Region(region)]
        if offset + size > len(data):
            raise _Fault(Error.AXI_READ, f"byte {offset + size - 1} is outside region {Region(region).name}")
        return np.frombuffer(data, np.uint8, size, offset)

    def _load(self, i):
        memory = self.memories[Memory(i.memory)]
        offset = i.offset + (self.length << i.index_shift if i.index_shift else 0)
        data = self._fetch(i.region, offset, i.beats * self.config.axi_bits // 8)
        words = data.view(memory.dtype).reshape(-1, *memory.shape[1:])
        memory[i.address + np.arange(len(words))] = words

    def _gather(self, i):
        beat = self.config.axi_bits // 8
        ids = self._fetch(i.index_region, i.index_offset, 4 * i.count).view("<u4").astype(np.int64)
        for row, number in enumerate(ids):
            if number >= i.limit:
                raise _Fault(Error.INDEX_RANGE, f"index {number} is not below {i.limit}")
            data = self._fetch(i.region, i.offset + number * i.row_beats * beat, i.words * self.config.depth // 8)
            address = i.address + row // self.config.rows * i.tile + np.arange(i.words)
            self.memories[Memory.LEFT][address, row % self.config.rows] = data.reshape(i.words, -1)

    def _operand(self, i, side, tiles):
        """Codes (tiles * banks, words * K) of an operand of a QMM."""
        memory = self.memories[Memory[side.upper()]]
        base, plane, tile, bits = (getattr(i, f"{side}_{part}") for part in ("base", "plane", "tile", "bits"))
        address = base + np.arange(bits)[:, None, None] * plane + np.arange(tiles)[:, None] * tile + np.arange(i.words)
        words = memory[address].swapaxes(2, 3)
        flat = unpack_words(words, i.words * self.config.depth).reshape(bits, -1, i.words * self.config.depth)
        return from_planes(flat, Kind(getattr(i, f"{side}_kind")))

    def _qmm(self, i):
        left_kind, right_kind = Kind(i.left_kind), Kind(i.right_kind)
        left, right = self._operand(i, "left", i.row_tiles), self._operand(i, "right", i.column_tiles)
        s, r, c = count(left, right, left_kind, i.left_bits, right_kind, i.right_bits)
        t = correct(s, r, c, left_kind, right_kind)
        words = ceil_div(t.shape[0] if i.constant_by_row else t.shape[1], self.config.columns)
        entries = self.memories[Memory.CONSTANT][i.constant_base + np.arange(words)].ravel()
        scale = entries.astype(np.uint16).view(np.int16).astype(np.int64)
        offset = (entries << np.uint64(8)).view(np.int64) >> 24
        if i.constant_by_row:
            scale, offset = scale[: len(t), None], offset[: len(t), None]
        y = rescale_folded(t, scale, offset, i.shift, i.low, i.high)
        y[:, i.columns :] = 0
        if i.mask:
            y[:, self.length :] = 0
        if i.destination == Destination.ROWS:
            self.row_buffer += list(y.reshape(i.row_tiles, self.config.rows, -1))
        else:
            memory = Memory.LEFT if i.destination == Destination.LEFT else Memory.RIGHT
            self._write(
                memory, y, i.destination_bits, i.destination_base, i.destination_plane, i.destination_tile,
                i.destination_column,
            )  # fmt: skip

    def _write(self, memory, codes, bits, base, plane, tile, column=0, first_row=0):
        """Write codes (rows, columns) to an operand memory, from ``column`` on.

        A write of a word's first bits clears the others; otherwise they stay.
        """
        memory = self.memories[memory]
        k, banks = self.config.depth, memory.shape[1]
        rows = first_row + np.arange(len(codes))
        first, end = column // k, ceil_div(column + codes.shape[1], k)
        address = base + np.arange(bits)[:, None, None] * plane + (rows // banks)[:, None] * tile + np.arange(first, end)
        bank = (rows % banks)[:, None]
        stored = unpack_words(memory[address, bank], (end - first) * k)
        start = column - first * k
        stored[..., -(-start // k) * k :] = 0
        stored[..., start : start + codes.shape[1]] = planes(codes, bits)
        packed = np.packbits(stored, axis=-1, bitorder="little")
        memory[address, bank] = packed.reshape(*address.shape, k // 8)

    def _take_rows(self, i):
        """Rows (rows, groups * L) from the row buffer, and a mask of the columns that are real."""
        tiles = ceil_div(i.rows, self.config.rows)
        if len(self.row_buffer) < tiles:
            raise _Fault(Error.WATCHDOG, f"the row buffer has {len(self.row_buffer)} row tiles, not {tiles}")
        taken, self.row_buffer = self.row_buffer[:tiles], self.row_buffer[tiles:]
        rows = np.concatenate(taken)[: i.rows]
        width = i.groups * self.config.row_lanes
        return np.pad(rows, [(0, 0), (0, max(0, width - rows.shape[1]))])[:, :width]

    def _codes(self, i, codes):
        """Write codes of the real columns, and 0 in the others, where the instruction says."""
        wide = np.zeros((i.rows, i.groups * self.config.row_lanes), np.int64)
        wide[:, : i.columns] = codes
        if i.left_enable:
            self._write(Memory.LEFT, wide, i.bits, i.left_base, i.left_plane, i.left_tile, first_row=i.first_row)
        if i.opcode is Opcode.NORM and i.right_enable:
            self._write(Memory.RIGHT, wide, i.bits, i.right_base, i.right_plane, i.right_tile, first_row=i.first_row)

    def _softmax(self, i):
        scores = self._take_rows(i)[:, : i.columns]
        length = min(self.length, i.columns) if i.mask else i.columns
        self._codes(i, softmax.softmax(scores, length, i.step, i.step_shift, i.bits))

    def _norm(self, i):
        address = i.residual_base + np.arange(i.rows)[:, None] * i.groups + np.arange(i.groups)
        stream = self.memories[Memory.RESIDUAL][address].reshape(i.rows, -1)
        constants = self.memories[Memory.NORM][i.constant_base + np.arange(i.groups)].reshape(-1, 4)
        parts = constants[: i.columns].astype(np.int64).T
        total, saturated = add_residual(stream[:, : i.columns], self._take_rows(i)[:, : i.columns])
        normal = layernorm.normalise(total, i.epsilon, bool(i.rms))
        codes = layernorm.affine(normal, parts[2], parts[3], i.code_shift, i.low, i.high)
        if not i.keep_sum:
            total, clipped = layernorm.affine_to_residual(normal, parts[0], parts[1], i.residual_shift)
            saturated += clipped
        self.saturated += saturated
        wide = np.zeros_like(stream)
        wide[:, : i.columns] = total
        self.memories[Memory.RESIDUAL][address] = wide.reshape(*address.shape, -1)
        self._codes(i, codes)

    def _store(self, i):
        data = self._take_rows(i).astype("<i2").tobytes()
        output = self.memories[None]
        if i.offset + len(data) > len(output):
            raise _Fault(Error.AXI_WRITE, f"byte {i.offset + len(data) - 1} is outside region OUTPUT")
        output[i.offset : i.offset + len(data)] = data
