"""Tile writer against a numpy model of both operand memories and of the row buffer's stream."""

import cocotb
import numpy as np
import pytest
from cocotb.triggers import ClockCycles, RisingEdge

from hw.engine.operand_memory import OperandMemory
from hw.engine.tile import tile_layout
from hw.engine.tile_writer import TileWriter
from isa.instruction import Destination
from tb.lib.harness import SIMULATORS, StreamSink, StreamSource, parameters, reset, simulate, start_clock
from tb.lib.payload import pack

SINKS = ("o_left", "o_right", "o_rows")


class Bench:
    """Plays the sequencer and the drain; keeps the memories that the writes go to, and those they should make."""

    def __init__(self, dut, stall, rng):
        self.dut, self.stall, self.rng = dut, stall, rng
        self.unit = unit = TileWriter(**parameters())
        self.source = StreamSource(dut, "i", unit.i.payload.shape(), stall, rng)
        self.shapes = {name: getattr(unit, name).payload.shape() for name in SINKS}
        self.sinks = {name: StreamSink(dut, name, shape, stall, rng) for name, shape in self.shapes.items()}
        memories = {"o_left": (unit.left_depth, unit.rows), "o_right": (unit.right_depth, unit.columns)}
        self.expected = {name: rng.integers(0, 2, (*shape, unit.depth)) for name, shape in memories.items()}
        self.memory = {name: bits.copy() for name, bits in self.expected.items()}
        self.forget()
        dut.i_tile__valid.value = 0

    def forget(self):
        self.accepted, self.done, self.tiles_done, self.stalled, self.errors = [], [], 0, 0, 0

    def instruction(self, destination=None, row_tiles=None, column_tiles=None, bits=None, **fields):
        """A random instruction that fits: where its tiles go, and their values (rows, columns)."""
        rng, unit = self.rng, self.unit
        destination = Destination(rng.integers(0, 3) if destination is None else destination)
        row_tiles = row_tiles or int(rng.integers(1, 4))
        column_tiles = column_tiles or int(rng.integers(1, 4))
        bits = bits or int(rng.integers(1, 9 if rng.random() < 0.2 else 4))
        banks, depth = (unit.columns, unit.right_depth) if destination == Destination.RIGHT else (unit.rows, unit.left_depth)
        start = int(rng.integers(0, 2 * unit.depth // unit.columns)) * unit.columns
        words = -(-(start + column_tiles * unit.columns) // unit.depth)
        tile = words + int(rng.integers(0, 2))
        plane = tile * -(-row_tiles * unit.rows // banks) + int(rng.integers(0, 2))
        base = int(rng.integers(0, depth - bits * plane + 1))
        values = rng.integers(-(1 << 15), 1 << 15, (row_tiles * unit.rows, column_tiles * unit.columns))
        values >>= rng.integers(0, 16, (len(values), 1))
        where = {"destination": destination, "base": base, "plane": plane, "tile": tile, "bits": bits, "start": start}
        return where | fields, values

    def descriptors(self, where, values):
        """What the sequencer says of each tile, row tiles outside."""
        unit = self.unit
        banks = unit.columns if where["destination"] == Destination.RIGHT else unit.rows
        row_tiles, column_tiles = len(values) // unit.rows, values.shape[1] // unit.columns
        tiles = []
        for row in range(row_tiles):
            for column in range(column_tiles):
                first = where["start"] + column * unit.columns
                tiles.append({name: int(self.rng.integers(0, 2)) for name, _ in tile_layout(unit.columns)} | {
                    "destination": where["destination"], "plane": where["plane"], "tile": where["tile"],
                    "last_plane": 0 if where["destination"] == Destination.ROWS else where["bits"] - 1,
                    "column_tile": column, "bank": row * unit.rows % unit.columns,
                    "address": where["base"] + row * unit.rows // banks * where["tile"] + first // unit.depth,
                    "column": first % unit.depth // unit.columns,
                    "last_column": column == column_tiles - 1,
                    "last": (row, column) == (row_tiles - 1, column_tiles - 1),
                })  # fmt: skip
        return tiles

    def groups(self, values):
        """``values`` in the order of tiles and groups: (groups, G * C)."""
        unit = self.unit
        tiles = values.reshape(-1, unit.groups, unit.drain_rows, values.shape[1] // unit.columns, unit.columns)
        return tiles.transpose(0, 3, 1, 2, 4).reshape(-1, unit.drain_rows * unit.columns)

    def send(self, groups, error=None):
        self.source.send({"values": groups, "error": np.zeros(len(groups), int) if error is None else error})

    def model(self, where, values):
        """Element (i, j), plane p: as docs/architecture.md says."""
        banks = self.unit.columns if where["destination"] == Destination.RIGHT else self.unit.rows
        p, i, j = np.ix_(range(where["bits"]), range(values.shape[0]), where["start"] + np.arange(values.shape[1]))
        address = where["base"] + p * where["plane"] + i // banks * where["tile"] + j // self.unit.depth
        name = "o_right" if where["destination"] == Destination.RIGHT else "o_left"
        self.expected[name][address, i % banks, j % self.unit.depth] = values >> p & 1

    def write(self, name, batch):
        unit = self.unit
        bits = batch["data"][:, None] >> np.arange(unit.drain_rows * unit.columns) & 1
        for index, content in enumerate(bits.reshape(-1, unit.drain_rows, unit.columns)):
            address, bank, start = batch["address"][index], batch["bank"][index], batch["column"][index] * unit.columns
            assert bank % unit.drain_rows == 0
            self.memory[name][address, bank : bank + unit.drain_rows, start : start + unit.columns] = content

    async def describe(self, tiles):
        """Descriptors at least R / G cycles apart, no more under way than there is room for."""
        dut, unit = self.dut, self.unit
        words = pack(tile_layout(unit.columns), {name: np.array([tile[name] for tile in tiles]) for name in tiles[0]})
        start = self.tiles_done
        for index, word in enumerate(words):
            while index - (self.tiles_done - start) >= unit.tiles or self.rng.random() < self.stall:
                await RisingEdge(dut.clk)
            dut.i_tile__payload.value = word
            dut.i_tile__valid.value = 1
            await RisingEdge(dut.clk)
            dut.i_tile__valid.value = 0
            if unit.groups > 1:
                await ClockCycles(dut.clk, unit.groups - 1)

    def watch(self):
        return cocotb.start_soon(self._watch())

    async def _watch(self):
        dut, edge, cycle = self.dut, RisingEdge(self.dut.clk), 0
        handshakes = [(getattr(dut, f"{name}__valid"), getattr(dut, f"{name}__ready")) for name in SINKS]
        while True:
            await edge
            taken = [bool(valid.value) and bool(ready.value) for valid, ready in handshakes]
            assert sum(taken) <= 1
            if any(taken):
                self.accepted.append(cycle)
            if dut.done.value:
                self.done.append(cycle)
            self.tiles_done += bool(dut.tile_done.value)
            self.stalled += bool(dut.stalled.value)
            self.errors += bool(dut.error.value)
            cycle += 1

    async def check(self, *instructions):
        unit = self.unit
        self.forget()
        tiles = [self.descriptors(*instruction) for instruction in instructions]
        groups = [self.groups(values) for _, values in instructions]
        writes = [len(part) * (1 if where["destination"] == Destination.ROWS else where["bits"])
                  for part, (where, _) in zip(groups, instructions)]  # fmt: skip
        goes_to = [SINKS[where["destination"]] for where, _ in instructions]
        taking = {
            name: cocotb.start_soon(sink.receive(sum(count for count, to in zip(writes, goes_to) if to == name)))
            for name, sink in self.sinks.items()
        }
        describing = cocotb.start_soon(self.describe([tile for part in tiles for tile in part]))
        self.send(np.concatenate(groups))
        got = {name: await task for name, task in taking.items()}
        await describing
        await ClockCycles(self.dut.clk, 5)

        for name in ("o_left", "o_right"):
            if len(got[name]["address"] if isinstance(got[name], dict) else got[name]):
                self.write(name, got[name])
        rows = []
        for (where, values), described, part in zip(instructions, tiles, groups):
            if where["destination"] != Destination.ROWS:
                self.model(where, values)
                continue
            rows.append({
                "values": part, "group": np.tile(np.arange(unit.groups), len(described)),
                "column_tile": np.repeat([tile["column_tile"] for tile in described], unit.groups),
                "last": np.concatenate([[0] * (unit.groups - 1) + [int(tile["last_column"])] for tile in described]),
            })  # fmt: skip
        for name, bits in self.memory.items():
            assert (bits == self.expected[name]).all(), f"{name} at {np.argwhere(bits != self.expected[name])[:3]}"
        for name in rows[0] if rows else ():
            assert (got["o_rows"][name] == np.concatenate([part[name] for part in rows])).all(), name

        assert self.tiles_done == sum(len(part) for part in tiles)
        ends = [self.accepted[last - 1] for last in np.cumsum(writes)]
        assert self.done == [end + OperandMemory.write_latency for end in ends]
        assert not self.errors
        for sink in self.sinks.values():
            assert not sink._valid.value
        return writes


@cocotb.test()
@cocotb.parametrize(stall=[0.0, 0.4])
async def everything_lands_where_it_belongs(dut, stall):
    bench = Bench(dut, stall, np.random.default_rng(1))
    await start_clock(dut)
    bench.watch()
    for _ in range(4):
        await bench.check(*[bench.instruction() for _ in range(4)])


@cocotb.test()
@cocotb.parametrize(destination=list(Destination))
async def one_write_a_cycle_when_nobody_waits(dut, destination):
    bench = Bench(dut, 0.0, np.random.default_rng(2))
    await start_clock(dut)
    bench.watch()
    writes = await bench.check(bench.instruction(destination, row_tiles=2, column_tiles=2, bits=5))
    if destination != Destination.ROWS:
        assert bench.accepted[-1] - bench.accepted[0] + 1 == writes[0]


@cocotb.test()
async def short_instructions_end_one_by_one(dut):
    bench = Bench(dut, 0.0, np.random.default_rng(7))
    await start_clock(dut)
    bench.watch()
    for first, second in ((0, 1), (0, 2), (1, 2)):
        await bench.check(*[bench.instruction(kind, 1, 1, 1) for kind in (first, second, second, first) * 3])


@cocotb.test()
async def eight_planes_and_codes_of_any_value(dut):
    bench = Bench(dut, 0.2, np.random.default_rng(3))
    await start_clock(dut)
    bench.watch()
    for destination in (Destination.LEFT, Destination.RIGHT):
        where, values = bench.instruction(destination, row_tiles=1, bits=8)
        values[:] = bench.rng.choice([-(1 << 15), -1, 0, 1, (1 << 15) - 1], values.shape)
        await bench.check((where, values))


@cocotb.test()
@cocotb.parametrize(destination=list(Destination))
async def says_that_it_waits(dut, destination):
    bench = Bench(dut, 0.0, np.random.default_rng(4))
    await start_clock(dut)
    bench.watch()
    where, values = bench.instruction(destination, row_tiles=1, column_tiles=2, bits=2)
    bench.send(bench.groups(values))
    await ClockCycles(dut.clk, 10)
    assert not bench.stalled, "nothing to do without a descriptor"
    assert not bench.accepted
    describing = cocotb.start_soon(bench.describe(bench.descriptors(where, values)))
    await ClockCycles(dut.clk, 10)
    before = bench.stalled
    await ClockCycles(dut.clk, 20)
    assert bench.stalled == before + 20
    assert not bench.accepted
    await describing
    sink = bench.sinks[SINKS[destination]]
    groups = len(bench.groups(values))
    await sink.receive(groups if destination == Destination.ROWS else 2 * groups)
    await ClockCycles(dut.clk, 5)
    assert not dut.stalled.value
    await sink.expect_nothing()


@cocotb.test()
async def starts_anew_after_a_reset_in_the_middle(dut):
    bench = Bench(dut, 0.2, np.random.default_rng(5))
    await start_clock(dut)
    bench.watch()
    for pause in (4, 9, 15, 22):
        where, values = bench.instruction(pause % 3, row_tiles=3, column_tiles=3, bits=3, tile=0, plane=0, base=0)
        describing = cocotb.start_soon(bench.describe(bench.descriptors(where, values)))
        bench.send(bench.groups(values))
        taking = [cocotb.start_soon(sink.receive(1000)) for sink in bench.sinks.values()]
        await ClockCycles(dut.clk, pause)
        for task in (describing, *taking):
            task.cancel()
        dut.i_tile__valid.value = 0
        await reset(dut, bench.source, *bench.sinks.values())
        bench.forget()
        for sink in bench.sinks.values():
            await sink.expect_nothing(5)
        assert not bench.done
        await bench.check(bench.instruction(), bench.instruction())


@cocotb.test()
@cocotb.parametrize(destination=[Destination.LEFT, Destination.RIGHT])
async def reports_an_address_outside_the_memory(dut, destination):
    bench = Bench(dut, 0.0, np.random.default_rng(6))
    unit = bench.unit
    depth = unit.left_depth if destination == Destination.LEFT else unit.right_depth
    await start_clock(dut)
    bench.watch()
    last = {"start": 0, "tile": 0, "plane": 1, "base": depth - 2}
    await bench.check(bench.instruction(destination, row_tiles=1, column_tiles=1, bits=2, **last))
    for base in (depth - 1, depth, depth + 7, 65535):
        where, values = bench.instruction(destination, row_tiles=1, column_tiles=1, bits=2, **last | {"base": base})
        bench.forget()
        bench.send(bench.groups(values))
        taking = cocotb.start_soon(bench.sinks[SINKS[destination]].receive(100))
        await bench.describe(bench.descriptors(where, values))
        await ClockCycles(dut.clk, 20)
        assert bench.errors > 10
        assert len(bench.accepted) == max(depth - base, 0)
        assert not bench.done
        taking.cancel()
        await reset(dut, bench.source, *bench.sinks.values())
        bench.forget()
        await bench.check(bench.instruction())


@cocotb.test()
@cocotb.parametrize(destination=list(Destination), wrong=[0, 2])
async def a_group_without_constants_stops_it(dut, destination, wrong):
    """The instruction before ends; the group that is ``wrong`` goes nowhere, nor does anything after it."""
    bench = Bench(dut, 0.0, np.random.default_rng(8))
    await start_clock(dut)
    bench.watch()
    instructions = [bench.instruction(destination, 1, 1, 1), bench.instruction(destination, 3, 1, 1)]
    groups = np.concatenate([bench.groups(values) for _, values in instructions])
    error = np.zeros(len(groups), int)
    error[bench.unit.groups + wrong] = 1
    bench.send(groups, error)
    cocotb.start_soon(bench.describe([tile for instruction in instructions for tile in bench.descriptors(*instruction)]))
    taking = [cocotb.start_soon(sink.receive(100)) for sink in bench.sinks.values()]
    for _ in range(40):
        await RisingEdge(dut.clk)
        assert not dut.error.value or len(bench.done) + bool(dut.done.value) == 1
    assert dut.error.value
    assert len(bench.accepted) == bench.unit.groups + wrong
    assert len(bench.done) == 1
    for task in taking:
        task.cancel()


@pytest.mark.parametrize("simulator", SIMULATORS)
@pytest.mark.parametrize(("rows", "columns", "depth", "drain_rows"), [(4, 4, 16, 2), (8, 2, 8, 1), (2, 8, 16, 2)])
def test_tile_writer(simulator, rows, columns, depth, drain_rows):
    sizes = {"rows": rows, "columns": columns, "depth": depth, "drain_rows": drain_rows}
    sizes |= {"left_depth": 150, "right_depth": 500, "tiles": 2 if rows // drain_rows > 4 else 4}
    simulate(TileWriter(**sizes), __name__, simulator, parameters=sizes)
