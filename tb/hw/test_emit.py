"""Emission: the same text in every process, memories without initial values, shared units once; and it works."""

import os
import re
import subprocess
import sys

import cocotb
import numpy as np
import pytest
from amaranth import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from formats.files import ROOT
from hw.emit import add_shared, emit
from hw.engine.operand_memory import OperandMemory
from tb.lib.harness import SIMULATORS, simulate, start_clock
from tb.lib.ports import play

TABLE = [3, 1, 4, 1, 5, 9, 2, 6]
MEMORY = dict(banks=4, depth=16, width=16, drain_rows=2, columns=4, axi_bits=64)


class Inner(wiring.Component):
    """A register."""

    def __init__(self):
        super().__init__({"i": In(8), "o": Out(8)})

    def elaborate(self, platform):
        m = Module()
        m.d.sync += self.o.eq(self.i)
        return m


class Outer(wiring.Component):
    """Two registers in a row, the second plus one."""

    def __init__(self):
        super().__init__({"i": In(8), "o": Out(8)})

    def elaborate(self, platform):
        m = Module()
        between = Signal(8)
        add_shared(m, "first", "bittern_inner", Inner, i=self.i, o=between)
        add_shared(m, "second", "bittern_inner", Inner, i=between + 1, o=self.o)
        return m


class Example(wiring.Component):
    """Shared units within shared units, a table, a memory that is written before it is read."""

    def __init__(self):
        outputs = dict.fromkeys(("o", "o_table", "o_memory", "o_switch"), Out(8))
        super().__init__({"i": In(8), **outputs})

    def elaborate(self, platform):
        m = Module()
        between = Signal(8)
        add_shared(m, "first", "bittern_outer", Outer, i=self.i, o=between)
        add_shared(m, "second", "bittern_outer", Outer, i=between, o=self.o)
        m.submodules.table = table = Memory(shape=8, depth=8, init=TABLE)
        m.submodules.memory = memory = Memory(shape=8, depth=8, init=[])
        write, reads = memory.write_port(), [table.read_port(), memory.read_port()]
        m.d.comb += [write.addr.eq(self.i), write.data.eq(self.i), write.en.eq(1)]
        for read, port in zip(reads, (self.o_table, self.o_memory)):
            m.d.comb += [read.addr.eq(self.i), read.en.eq(1), port.eq(read.data)]
        with m.Switch(self.i[:3]):
            for index, value in enumerate(TABLE[:5]):
                with m.Case(index):
                    m.d.sync += self.o_switch.eq(value)
        return m


@cocotb.test()
async def what_is_emitted_works(dut):
    rng = np.random.default_rng(1)
    values = rng.integers(0, 256, 200)
    await start_clock(dut)
    await play(dut, {"i": range(8)}, [])
    shown = await play(dut, {"i": values}, ["o", "o_table", "o_memory", "o_switch"])
    assert shown["o"][4:] == ((values + 2) % 256).tolist()[:-4]
    assert shown["o_table"][1:] == [TABLE[value % 8] for value in values[:-1]]
    switched = shown["o_switch"][0]
    for cycle, value in enumerate(values):
        assert shown["o_switch"][cycle] == switched
        switched = TABLE[value % 8] if value % 8 < 5 else switched
    written = dict(enumerate(range(8)))
    for cycle, value in enumerate(values[:-1].tolist()):
        assert shown["o_memory"][cycle + 1] == written[value % 8]
        written[value % 8] = value


@pytest.mark.parametrize("simulator", SIMULATORS)
def test_emitted(simulator):
    simulate(Example(), __name__, simulator)


def modules(text):
    return re.findall(r"^module (\S+?)\(", text, re.MULTILINE)


def test_every_process_writes_the_same_text():
    imports = "from isa.presets import preset; from hw.emit import emit; from hw.engine.qmm import Qmm"
    script = f"{imports}; print(emit(Qmm(preset('tiny')), 'q'))"

    def text(seed):
        environment = os.environ | {"PYTHONHASHSEED": seed, "PYTHONPATH": str(ROOT)}
        command = [sys.executable, "-c", script]
        return subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, check=True).stdout

    first, second = text("1"), text("2")
    assert first == second
    assert first.startswith(b"/* Generated")
    assert str(ROOT).encode() not in first


def test_a_process_writes_the_same_text_twice():
    first = emit(OperandMemory(**MEMORY), "dut")
    emit(Example(), "other")
    assert emit(OperandMemory(**MEMORY), "dut") == first


def test_memories_have_no_initial_values():
    text = emit(OperandMemory(**MEMORY), "dut")
    assert re.search(r"reg \[15:0\] memory \[15:0\];", text)
    assert not re.search(r"memory\[\d+\] = ", text)


def test_tables_keep_their_values():
    text = emit(Example(), "dut")
    assert [int(value, 16) for value in re.findall(r"table \[\d\] = 8'h(\w+);", text)] == TABLE


def test_shared_units_are_written_once_however_deep():
    text = emit(Example(), "dut")
    for name in ("dut", "bittern_outer", "bittern_inner"):
        assert modules(text).count(name) == 1
    assert len(re.findall(r"^\s*bittern_inner ", text, re.MULTILINE)) == 2
    assert len(re.findall(r"^\s*bittern_outer ", text, re.MULTILINE)) == 2


def test_shared_units_are_forgotten_by_the_next_text():
    emit(Example(), "dut")
    assert modules(emit(Inner(), "dut")) == ["dut"]


def test_every_case_has_a_default():
    cases = re.findall(r"^ *casez? .*?^ *endcase", emit(Example(), "dut"), re.MULTILINE | re.DOTALL)
    assert cases
    assert all("default:" in case for case in cases)


@pytest.mark.parametrize("ports", [{}, {"i": 0}, {"i": 0, "q": 0}, {"i": 0, "o": 0, "q": 0}])
def test_refuses_ports_that_are_not_those_of_the_unit(ports):
    message = rf"bittern_inner has ports \['i', 'o'\], but {re.escape(str(sorted(ports)))} are connected"
    with pytest.raises(ValueError, match=message):
        add_shared(Module(), "inner", "bittern_inner", Inner, **ports)
