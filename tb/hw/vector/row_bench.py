"""The bench of the row processor: plays drain, loads and memory, and keeps what its operand memories must hold."""

import cocotb
import numpy as np
from cocotb.triggers import ClockCycles, RisingEdge

from golden.codes import planes
from golden.softmax import softmax
from hw.instruction import ISSUE
from hw.vector.row_processor import RowProcessor
from hw.vector.store import STORE_REQUEST
from isa.config import AcceleratorConfig
from isa.instruction import Instruction, Opcode, encode
from isa.presets import preset
from tb.hw.vector.norm_model import NormModel
from tb.lib.harness import StreamSink, StreamSource, parameters

#: Few lanes beside the columns, rows longer than a power of two of words, two beats to an element.
NARROW = AcceleratorConfig(
    rows=4, columns=16, depth=16, drain=32, row_lanes=8, axi_bits=64, left_depth=500, right_depth=300, constant_depth=64,
    norm_depth=40, residual_depth=500, row_columns=80,
)  # fmt: skip
CONFIGS = {"tiny": preset("tiny"), "narrow": NARROW}


class Operands:
    """An operand memory as its writes leave it: a bit for each (address, bank, position)."""

    def __init__(self, banks, depth, width, lanes):
        self.banks, self.depth, self.width, self.lanes = banks, depth, width, lanes
        self.expected = np.zeros((depth, banks, width), np.uint8)
        self.seen = self.expected.copy()
        self.writes = self.expected_writes = 0

    def place(self, rng, rows, groups, bits):
        """Random base and strides that keep all planes and tiles of rows 0 to ``rows`` apart."""
        words = -(-groups * self.lanes // self.width)
        tiles = -(-rows // self.banks)
        tile = words + int(rng.integers(2))
        plane = tile * tiles + int(rng.integers(2))
        end = (bits - 1) * plane + (tiles - 1) * tile + words
        return {"base": int(rng.integers(0, self.depth - end + 1)), "plane": plane, "tile": tile}

    def expect(self, codes, bits, place, first_row):
        words = -(-codes.shape[1] // self.width)
        codes = np.pad(codes, ((0, 0), (0, words * self.width - codes.shape[1])))
        self.expected_writes += bits * len(codes) * words
        k = np.arange(codes.shape[1])
        for p, plane in enumerate(planes(codes, bits)):
            for row, content in enumerate(plane, first_row):
                address = place["base"] + p * place["plane"] + row // self.banks * place["tile"]
                self.expected[address + k // self.width, row % self.banks, k % self.width] = content

    def accept(self):
        """What has been written so far is as it should be."""
        self.expected[:] = self.seen
        self.expected_writes = self.writes

    def write(self, request):
        for n in range(len(request["data"])):
            bits = int(request["data"][n]) >> np.arange(self.width) & 1
            self.seen[request["address"][n], request["bank"][n]] = bits
        self.writes += len(request["data"])


class Bench:
    def __init__(self, dut, stall, rng):
        self.dut, self.rng, self.stall = dut, rng, stall
        self.config = c = CONFIGS[parameters()["config"]]
        unit = RowProcessor(c)
        unit._MustUse__silence = True

        def source(name):
            return StreamSource(dut, name, getattr(unit, name).payload.shape(), stall, rng)

        def sink(name):
            return StreamSink(dut, name, getattr(unit, name).payload.shape(), stall, rng)

        self.instructions, self.rows = StreamSource(dut, "i", ISSUE, stall, rng), source("i_rows")
        self.load_residual, self.load_norm = source("i_load_residual"), source("i_load_norm")
        self.left_writes, self.right_writes = sink("o_left"), sink("o_right")
        self.store_requests = StreamSink(dut, "o_store", STORE_REQUEST, stall, rng)
        self.store_data = sink("o_store_data")
        self.drivers = [driver for driver in vars(self).values() if isinstance(driver, (StreamSource, StreamSink))]
        self.model = NormModel(c.residual_depth, c.norm_depth, c.row_lanes)
        self.left = Operands(c.rows, c.left_depth, c.depth, c.row_lanes)
        self.right = Operands(c.columns, c.right_depth, c.depth, c.row_lanes)
        self.saturated = self.expected_saturated = 0
        self.done, self.errors = 0, []
        self.milestones = []
        #: Words of the residual memory of NORMs that may be under way, as (start, end).
        self.touched = []
        dut.i_store_done.value = 0
        self.tasks = [cocotb.start_soon(self._watch())]
        self.start_sinks()

    def start_sinks(self):
        self.sinks = [cocotb.start_soon(self.collect(side)) for side in ("left", "right")]

    async def collect(self, side):
        """Take the writes to an operand memory."""
        sink, operands = getattr(self, f"{side}_writes"), getattr(self, side)
        while True:
            operands.write(await sink.receive(1, patience=10**9))

    async def _watch(self):
        due = (0, 0)
        while True:
            await RisingEdge(self.dut.clk)
            assert (np.array([self.left.writes, self.right.writes]) >= due).all(), "done before the last write"
            if self.dut.o_done.value:
                due = self.milestones[self.done] if self.done < len(self.milestones) else due
                self.done += 1
            count = self.dut.o_saturated.value
            self.saturated += int(count) if count.is_resolvable else 10**6
            error = int(self.dut.o_error.value)
            if error & 1:
                self.errors.append(error >> 1)

    async def fill(self):
        """Random residual stream and constants, through the LOAD streams; counts start anew."""
        self.saturated = self.expected_saturated = self.done = 0
        self.errors, self.milestones, self.touched = [], [], []
        self.model.fill(self.rng)
        residual, constants = self.model.loads(self.config.axi_bits)
        loads = [self.load_residual.send(residual), self.load_norm.send(constants)]
        for load in loads:
            await load

    def send_rows(self, values):
        """Through the drain's port: whole tiles, random beyond the rows and columns that there are."""
        c = self.config
        rows, columns = values.shape
        row_tiles, column_tiles = -(-rows // c.rows), -(-columns // c.columns)
        full = self.rng.integers(-(2**15), 2**15, (row_tiles * c.rows, column_tiles * c.columns))
        full[:rows, :columns] = values
        groups = c.rows // c.drain_rows
        grouped = full.reshape(row_tiles, groups, c.drain_rows, column_tiles, c.columns).transpose(0, 3, 1, 2, 4)
        count = row_tiles * column_tiles * groups
        index = np.arange(count)
        self.rows.send({
            "values": grouped.reshape(count, -1),
            "column_tile": index // groups % column_tiles,
            "group": index % groups,
            "last": index % (groups * column_tiles) == groups * column_tiles - 1,
        })  # fmt: skip

    def send_instruction(self, opcode, fields):
        word = int.from_bytes(encode(Instruction(opcode, fields)), "little")
        self.instructions.send({"bits": np.array([word], object), "index": [int(self.rng.integers(2**16))]})

    def first_row(self):
        """Of an instruction's codes: 0, or the middle of a tile on both sides."""
        return int(self.rng.integers(2) * self.rng.integers(2 * max(self.config.rows, self.config.columns)))

    def softmax(self, rows, groups, **fields):
        """Send a random SOFTMAX; what it must leave in memory."""
        rng = self.rng
        columns = int(rng.integers(1, groups * self.config.row_lanes + 1))
        fields = {
            "rows": rows, "groups": groups, "columns": columns, "bits": int(rng.integers(1, 9)),
            "step": int(rng.integers(2**15, 2**16)), "step_shift": int(rng.integers(8, 16)),
            "left_enable": 1, "first_row": self.first_row(), **fields,
        }  # fmt: skip
        place = self.left.place(rng, fields["first_row"] + rows, groups, fields["bits"])
        scores = rng.integers(-300, 300, (rows, groups * self.config.row_lanes))
        self.send_instruction(Opcode.SOFTMAX, fields | {f"left_{name}": value for name, value in place.items()})
        self.send_rows(scores)
        codes = softmax(scores, columns, fields["step"], fields["step_shift"], fields["bits"])
        self.left.expect(codes, fields["bits"], place, fields["first_row"])
        self._milestone()

    def norm(self, rows, groups, **fields):
        """Send a random NORM; what it must leave in memory."""
        rng = self.rng
        while True:
            chosen = self.model.random_command(rng, rows, groups, **fields)
            base, end = chosen["residual_base"], chosen["residual_base"] + rows * groups
            # A program has it wait for the NORM that wrote what it reads.
            if not any(base < last and first < end for first, last in self.touched):
                break
        self.touched.append((base, end))
        fields = chosen | {"groups": groups, "bits": int(rng.integers(1, 9)), "first_row": self.first_row()} | fields
        updates = rng.integers(-(2**15), 2**15, (rows, groups * self.config.row_lanes))
        codes, saturated = self.model.run(updates, fields)
        self.expected_saturated += saturated
        for side in ("left", "right"):
            fields.setdefault(f"{side}_enable", int(rng.integers(4) > 0))
            operands = getattr(self, side)
            place = operands.place(rng, fields["first_row"] + rows, groups, fields["bits"])
            fields |= {f"{side}_{name}": value for name, value in place.items()}
            if fields[f"{side}_enable"]:
                operands.expect(codes, fields["bits"], place, fields["first_row"])
        self.send_instruction(Opcode.NORM, fields)
        self.send_rows(updates)
        self._milestone()

    def store_after(self, before):
        """Send a small STORE, to be answered after the task ``before``; the task that answers it."""
        values = self.rng.integers(-(2**15), 2**15, (int(self.rng.integers(1, 4)), self.config.row_lanes))
        request = {"region": int(self.rng.integers(3)), "offset": int(self.rng.integers(2**32))}
        self.send_instruction(Opcode.STORE, request | {"rows": len(values), "groups": 1})
        self.send_rows(values)
        self._milestone()

        async def answer(place):
            if before:
                await before
            await self._answer(request, values, place)

        return cocotb.start_soon(answer(len(self.milestones)))

    async def store(self, rows, groups):
        """Send a random STORE and answer it."""
        c = self.config
        values = self.rng.integers(-(2**15), 2**15, (rows, groups * c.row_lanes))
        request = {"region": int(self.rng.integers(3)), "offset": int(self.rng.integers(2**32))}
        self.send_instruction(Opcode.STORE, request | {"rows": rows, "groups": groups})
        self.send_rows(values)
        self._milestone()
        await self._answer(request, values, len(self.milestones))

    def _milestone(self):
        """How many writes there are when all instructions so far are done."""
        self.milestones.append((self.left.expected_writes, self.right.expected_writes))

    async def _answer(self, request, values, place):
        """Take the ``place``-th instruction's request and data, and answer it."""
        c = self.config
        beats = values.size * 16 // c.axi_bits
        got = await self.store_requests.receive(1)
        assert {name: int(value[0]) for name, value in got.items()} == request | {"beats": beats}
        words = await self.store_data.receive(beats)
        data = b"".join(int(word).to_bytes(c.axi_bits // 8, "little") for word in words)
        assert (np.frombuffer(data, np.int16).reshape(values.shape) == values).all()
        await ClockCycles(self.dut.clk, 10)
        assert self.done < place, "done before the last answer"
        self.dut.i_store_done.value = 1
        await RisingEdge(self.dut.clk)
        self.dut.i_store_done.value = 0

    async def finish(self, count, patience=20_000):
        """Wait for ``count`` instructions in all; at the last `o_done` everything must be in memory."""
        for _ in range(patience):
            if self.done >= count or self.errors:
                break
            await RisingEdge(self.dut.clk)
        assert not self.errors
        assert self.done == count
        self.touched = []
        await RisingEdge(self.dut.clk)
        for name in ("left", "right"):
            operands = getattr(self, name)
            wrong = np.argwhere(operands.seen != operands.expected)
            assert not len(wrong), (name, wrong[:5])
            assert operands.writes == operands.expected_writes, name
        assert self.saturated == self.expected_saturated
