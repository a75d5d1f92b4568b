"""Operand memory against a numpy model: three writers at once, their priorities, parts of words, reads all the time."""

import cocotb
import numpy as np
import pytest
from cocotb.triggers import ClockCycles, RisingEdge

from hw.engine.operand_memory import OperandMemory
from tb.lib.harness import SIMULATORS, StreamSource, parameters, reset, simulate, start_clock
from tb.lib.payload import unpack
from tb.lib.ports import number

WRITERS = ("i_drain", "i_row", "i_load")  # in falling priority


class Bench:
    """Drives the writers, and watches every cycle: who is let in, and what is read."""

    def __init__(self, dut, stall, rng):
        self.dut, self.rng = dut, rng
        self.unit = unit = OperandMemory(**parameters())
        self.shapes = {name: getattr(unit, name).payload.shape() for name in WRITERS}
        self.sources = {name: StreamSource(dut, name, self.shapes[name], stall, rng) for name in WRITERS}
        self.bits = np.zeros((unit.depth, unit.banks, unit.width), np.uint8)
        self.writes, self.reads = [], []
        #: Beats of a LOAD that are to be written together: those that have come, and those that wait for the port.
        self.forming, self.waiting = [], []
        self.cycle = 0
        dut.read_address.value = 0

    def random(self, name, count):
        """``count`` random writes, anywhere."""
        rng, unit = self.rng, self.unit
        address, bank = rng.integers(0, unit.depth, count), rng.integers(0, unit.banks, count)
        if name == "i_drain":
            bank = bank // unit.drain_rows * unit.drain_rows
            part = {"column": rng.integers(0, unit.width // unit.columns, count)}
            width = unit.drain_rows * unit.columns
        elif name == "i_row":
            part, width = {}, unit.width
        else:
            part = {
                "gather": rng.integers(0, 2, count), "chunk": rng.integers(0, unit.banks // unit.chunk_words, count),
                "last": rng.integers(0, 2, count),
            }  # fmt: skip
            width = unit.axi_bits
            # Beats that are written together follow each other, but for a last few.
            whole = count // unit.joined * unit.joined
            part["gather"][whole:] = 1
            for array in (address, part["gather"], part["chunk"]):
                array[:whole] = np.repeat(array[: whole : unit.joined], unit.joined)
            part["chunk"][:whole] = part["chunk"][:whole] // unit.joined * unit.joined + np.arange(whole) % unit.joined
        words = [int.from_bytes(rng.bytes(64), "little") >> 512 - width for _ in range(count)]
        return {"address": address, "bank": bank, **part, "data": np.array(words, object if width > 63 else np.int64)}

    def fill(self):
        """LOADs of the whole memory with random bits."""
        unit = self.unit
        chunks = unit.banks // unit.chunk_words
        batch = self.random("i_load", unit.depth * chunks)
        batch["gather"][:] = 0
        batch["address"], batch["chunk"] = np.divmod(np.arange(unit.depth * chunks), chunks)
        return batch

    def watch(self):
        return cocotb.start_soon(self._watch())

    async def _watch(self):
        dut, edge = self.dut, RisingEdge(self.dut.clk)
        waited = False
        while True:
            address = int(self.rng.integers(0, self.unit.depth))
            dut.read_address.value = address
            await edge
            valid = [bool(getattr(dut, f"{name}__valid").value) for name in WRITERS]
            ready = [bool(getattr(dut, f"{name}__ready").value) for name in WRITERS]
            drain, row, load = valid
            free = not drain and not row
            expected = [not waited, waited or not drain, free]
            beat = unpack(self.shapes["i_load"], [int(dut.i_load__payload.value)]) if load else None
            if self.unit.joined > 1:
                assert dut.o_load_waits.value == bool(self.waiting)
                expected[2] = ready[2] if beat is None else free or not self.waiting or not self._completes(beat)
            assert ready == expected, f"priorities: valid {valid}, ready {ready}, a row unit has waited: {waited}"
            waited = row and not ready[1]
            for name, offered, taken in zip(WRITERS, valid, ready):
                if offered and taken and (name != "i_load" or self.unit.joined == 1):
                    self.writes.append((self.cycle, name, int(getattr(dut, f"{name}__payload").value)))
            taken = load and ready[2]
            ends = taken and beat["last"][0] if self.unit.joined == 1 else self._join(free, taken, beat)
            assert dut.o_loaded.value == bool(ends)
            self.reads.append((self.cycle, address, number(dut.o)))
            self.cycle += 1

    def _completes(self, beat):
        return beat["gather"][0] or beat["chunk"][0] % self.unit.joined == self.unit.joined - 1

    def _join(self, free, taken, beat):
        """Beats that leave for the port, and those that come. Whether a last one has left."""
        ends = False
        if free and self.waiting:
            self.writes += [(self.cycle, "i_load", payload) for payload, _ in self.waiting]
            ends, self.waiting = self.waiting[-1][1], []
        if taken:
            self.forming.append((int(self.dut.i_load__payload.value), beat["last"][0]))
            if self._completes(beat):
                self.waiting, self.forming = self.forming, []
        return ends

    def write(self, name, word):
        """The numpy model."""
        unit = self.unit
        fields = {key: value[0] for key, value in unpack(self.shapes[name], [word]).items()}
        width = len(self.unit.i_load.p.data) if name == "i_load" else None
        content = np.array([int(fields["data"]) >> bit & 1 for bit in range(width or 8 * unit.width)], np.uint8)
        line = self.bits[fields["address"]]
        if name == "i_drain":
            start = fields["column"] * unit.columns
            for row in range(unit.drain_rows):
                if start == 0:
                    line[fields["bank"] + row] = 0
                line[fields["bank"] + row, start : start + unit.columns] = content[row * unit.columns :][: unit.columns]
        elif name == "i_row" or fields["gather"]:
            line[fields["bank"]] = content[: unit.width]
        else:
            first = fields["chunk"] * unit.chunk_words
            line[first : first + unit.chunk_words] = content.reshape(unit.chunk_words, unit.width)

    def check(self, since=0):
        """Every read shows all that was written long enough before, and nothing else."""
        unit, pending, checked = self.unit, list(self.writes), 0
        shown = {cycle: word for cycle, _, word in self.reads}
        for cycle, address, _ in self.reads:
            while pending and pending[0][0] + unit.write_latency < cycle:
                self.write(*pending.pop(0)[1:])
            word = shown.get(cycle + unit.read_latency)
            # What is written in the very cycle of the read is not promised.
            collides = any(
                unpack(self.shapes[name], [payload])["address"][0] == address
                for written, name, payload in pending[:1]
                if written + unit.write_latency == cycle
            )
            if cycle >= since and word is not None and not collides:
                expected = self.bits[address].reshape(-1)
                got = np.array([word >> bit & 1 for bit in range(expected.size)])
                assert (got == expected).all(), f"cycle {cycle}, address {address}, bits {np.flatnonzero(got != expected)}"
                checked += 1
        self.reads, self.writes = [], pending
        return checked


@cocotb.test()
@cocotb.parametrize(stall=[0.0, 0.6, 0.9])
async def three_writers_at_once(dut, stall):
    bench = Bench(dut, stall, np.random.default_rng(1))
    await start_clock(dut)
    watch = bench.watch()
    await bench.sources["i_load"].send(bench.fill())
    await ClockCycles(dut.clk, 4)
    start = bench.cycle
    for name in WRITERS:
        bench.sources[name].send(bench.random(name, 80))
    for name in WRITERS:
        await bench.sources[name].send(bench.random(name, 20))
    await ClockCycles(dut.clk, 8 * bench.unit.depth)
    watch.cancel()
    assert len(bench.writes) == 300 + len(bench.fill()["address"])
    assert bench.check(start) > 100


@cocotb.test()
@cocotb.parametrize(name=WRITERS)
async def every_part_can_be_written_back_to_back(dut, name):
    bench = Bench(dut, 0.0, np.random.default_rng(2))
    await start_clock(dut)
    watch = bench.watch()
    await bench.sources["i_load"].send(bench.fill())
    await ClockCycles(dut.clk, 4)
    start = bench.cycle
    count = 12 * bench.unit.depth
    await bench.sources[name].send(bench.random(name, count))
    await ClockCycles(dut.clk, 8 * bench.unit.depth)
    watch.cancel()
    taken = [cycle for cycle, *_ in bench.writes if cycle >= start]
    if name != "i_load" or bench.unit.joined == 1:
        assert taken == list(range(taken[0], taken[0] + count))
    assert len(taken) == count
    assert taken[-1] - taken[0] < count
    assert bench.check(start) > 8 * bench.unit.depth


@cocotb.test()
async def loads_pass_writes_of_every_other_cycle(dut):
    """Where beats are written together, a LOAD loses nothing to a row unit that writes every other cycle."""
    bench = Bench(dut, 0.0, np.random.default_rng(4))
    unit = bench.unit
    await start_clock(dut)
    watch = bench.watch()
    loading = cocotb.start_soon(bench.sources["i_load"].send(bench.fill()))
    cycles = 0
    while not loading.done():
        dut.i_row__valid.value = cycles % 2
        await RisingEdge(dut.clk)
        cycles += 1
    dut.i_row__valid.value = 0
    watch.cancel()
    beats = unit.depth * unit.banks // unit.chunk_words
    assert cycles <= (beats if unit.joined > 1 else 2 * beats) + 4
    assert unit.joined > 1 or cycles > 2 * beats - 4


@cocotb.test()
async def writes_under_way_end_with_a_reset(dut):
    bench = Bench(dut, 0.0, np.random.default_rng(3))
    unit = bench.unit
    await start_clock(dut)
    watch = bench.watch()
    for pause in range(1, 5):
        for name in WRITERS:
            bench.sources[name].forget()
        await bench.sources["i_load"].send(bench.fill())
        await ClockCycles(dut.clk, 4)
        start = bench.cycle
        # Of beats that belong together a reset takes all or none, which are then not the first ones of others.
        writer = WRITERS[pause % (3 if unit.joined == 1 else 2)]
        bench.sources[writer].send(bench.random(writer, 1))
        await ClockCycles(dut.clk, pause)
        await reset(dut, *bench.sources.values())
        await ClockCycles(dut.clk, 8 * unit.depth)
        taken = [entry for entry in bench.writes if entry[0] >= start]
        # In memory if it had reached the bank; dropped if the reset came before.
        assert len(taken) == 1
        if pause < unit.write_latency:
            bench.writes.remove(taken[0])
        bench.check(start + pause + 3)
    watch.cancel()


@pytest.mark.parametrize("simulator", SIMULATORS)
@pytest.mark.parametrize("sizes", [
    dict(banks=4, depth=13, width=16, drain_rows=2, columns=4, axi_bits=64),
    dict(banks=8, depth=8, width=32, drain_rows=1, columns=8, axi_bits=64),
    dict(banks=2, depth=6, width=32, drain_rows=2, columns=32, axi_bits=32),
    dict(banks=8, depth=8, width=16, drain_rows=4, columns=8, axi_bits=32),
    dict(banks=8, depth=8, width=16, drain_rows=4, columns=8, axi_bits=32, joined=2),
    dict(banks=8, depth=8, width=32, drain_rows=4, columns=8, axi_bits=32, joined=4),
], ids=["square", "narrow", "whole", "wide drain", "two beats", "four beats"])  # fmt: skip
def test_operand_memory(simulator, sizes):
    simulate(OperandMemory(**sizes), __name__, simulator, parameters=sizes)
