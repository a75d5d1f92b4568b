"""Outside the project's own emitter every unit is an ordinary Amaranth design: it simulates, and it converts, whole."""

import importlib
import inspect
import pkgutil
import re
import warnings
from typing import Any

import numpy as np
import pytest
from amaranth.back import verilog
from amaranth.lib import wiring
from amaranth.sim import Simulator

import hw
from golden.codes import Kind
from golden.qmm import count
from hw.engine.array import Array
from hw.engine.dpu_ultrascale import Ultrascale
from hw.engine.operand_memory import OperandMemory
from hw.top import Top
from isa.config import AcceleratorConfig
from isa.resolve import limit_units

#: About the smallest there is: outside `hw.emit` memories are written out bit by bit.
CONFIG = AcceleratorConfig(
    rows=2, columns=2, depth=16, drain=4, row_lanes=2, axi_bits=32, left_depth=16, right_depth=16, constant_depth=8,
    norm_depth=8, residual_depth=16, row_columns=16,
)  # fmt: skip
OPERANDS = {"banks": 4, "depth": 16, "width": 16, "drain_rows": 2, "columns": 4, "axi_bits": 64}
ARRAY = {"rows": 4, "columns": 4, "depth": 16, "drain_rows": 2, "accumulator_bits": 24}

#: Small parameters of each unit, by its module and class.
PARAMETERS: dict[str, dict[str, Any]] = {
    "axi.bursts.AxiBursts": {"axi_bits": 64, "burst": 16},
    "axi.port_buffer.PortBuffer": {"axi_bits": 64, "ports": 2, "depth": 4},
    "axi.read_arbiter.ReadArbiter": {"axi_bits": 64},
    "axi.read_ports.ReadPorts": {"axi_bits": 64, "ports": 2},
    "axi.reader.AxiReader": {"axi_bits": 64},
    "axi.write_port.WritePort": {"axi_bits": 64, "ports": 2},
    "axi.writer.AxiWriter": {"axi_bits": 64},
    "dma.dma.Dma": {"config": CONFIG},
    "dma.placer.DmaPlacer": {"config": CONFIG},
    "dma.requests.DmaRequests": {"axi_bits": 64, "word_bits": 16},
    "engine.array.Array": ARRAY,
    "engine.dpu.Border": {"depth": 16, "accumulator_bits": 24},
    "engine.dpu.Dpu": {"depth": 16, "accumulator_bits": 24},
    "engine.drain.Drain": {
        "rows": 4, "columns": 4, "drain_rows": 2, "accumulator_bits": 24, "constant_depth": 16, "axi_bits": 64, "tiles": 4,
    },
    "engine.operand_memory.Bank": {"depth": 16, "width": 16, "part": 4},
    "engine.operand_memory.OperandMemory": OPERANDS,
    "engine.qmm.Qmm": {"config": CONFIG},
    "engine.rescale.Rescale": {"rows": 2, "columns": 4, "t_width": 28},
    "engine.sequencer.Sequencer": {
        "rows": 4, "columns": 4, "depth": 16, "groups": 2, "tiles": 4, "left_depth": 16, "right_depth": 16,
    },
    "engine.tile_writer.TileWriter": {
        "rows": 4, "columns": 4, "depth": 16, "drain_rows": 2, "left_depth": 16, "right_depth": 16, "tiles": 4,
    },
    "frontend.control.Control": {"config": CONFIG},
    "frontend.fetch.Fetch": {"axi_bits": 64},
    "frontend.issue.IssueQueue": {},
    "frontend.resolve.Resolve": {"units": limit_units(CONFIG)},
    "frontend.scheduler.Scheduler": {"axi_bits": 64, "units": limit_units(CONFIG)},
    "frontend.watchdog.Watchdog": {},
    "lib.block_memory.BlockMemory": {"memory_bytes": 256, "axi_bits": 64, "bank_words": 16},
    "lib.copies.Copy": {"width": 4},
    "lib.skid.Skid": {"shape": 8},
    "lib.stream_queue.StreamQueue": {"shape": 8, "depth": 4},
    "serial.link.SerialBridge": {"memory_bytes": 256},
    "serial.slip.SlipDecoder": {},
    "serial.slip.SlipEncoder": {},
    "serial.uart.UartReceiver": {"divisor": 4},
    "serial.uart.UartTransmitter": {"divisor": 4},
    "top.Top": {"config": CONFIG},
    "top.Core": {"config": CONFIG},
    "vector.code_queue.CodeQueue": {"lanes": 2},
    "vector.code_writer.CodeWriter": {"banks": 4, "depth": 16, "width": 16, "lanes": 4},
    "vector.layernorm.LayerNorm": {"lanes": 2, "row_columns": 16, "residual_depth": 16, "norm_depth": 16, "axi_bits": 32},
    "vector.norm_statistics.NormStatistics": {},
    "vector.reciprocal.Reciprocal": {"width": 20},
    "vector.reciprocal.ReciprocalSqrt": {"width": 48},
    "vector.row_buffer.RowBuffer": {"rows": 4, "columns": 4, "drain_rows": 2, "row_columns": 16, "lanes": 4},
    "vector.row_completion.RowCompletion": {},
    "vector.row_instruction.RowInstruction": {"config": CONFIG},
    "vector.row_memory.RowMemory": {"depth": 16, "width": 64, "axi_bits": 64, "writers": 2},
    "vector.row_processor.RowProcessor": {"config": CONFIG},
    "vector.row_ring.RowRing": {"width": 64, "words": 4, "rows": 4},
    "vector.softmax.Softmax": {"lanes": 2, "row_columns": 16},
    "vector.store.Store": {"lanes": 4, "axi_bits": 32},
}  # fmt: skip


def units():
    """Every class of `hw` that is a component, by module and name. Not what is part of another, with a leading underscore,
    and not the base of some."""
    found = {}
    for module in pkgutil.walk_packages(hw.__path__, "hw."):
        for name, value in vars(importlib.import_module(module.name)).items():
            own = inspect.isclass(value) and value.__module__ == module.name
            if own and issubclass(value, wiring.Component) and hasattr(value, "elaborate") and not name.startswith("_"):
                found[f"{module.name.removeprefix('hw.')}.{name}"] = value
    return found


UNITS = units()

_DEFINED = re.compile(r"^module (\\\S+ |\w+) ?\(", re.MULTILINE)
_INSTANCE = re.compile(r"^  (\\\S+ |[A-Za-z_]\w*) +(?:#\(|(?:\\\S+ |[A-Za-z_]\w*) +\()$", re.MULTILINE)


def undefined(text):
    """Modules that Verilog ``text`` instantiates and does not define."""
    return {name.strip() for name in _INSTANCE.findall(text)} - {name.strip() for name in _DEFINED.findall(text)}


def run(component, testbench, clocked=True):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        simulator = Simulator(component)
        if clocked:
            simulator.add_clock(1e-6)
        simulator.add_testbench(testbench)
        simulator.run()


def inputs(component):
    """The signals that drive ``component`` from outside."""
    ports = component.signature.flatten(component)
    return [
        value.as_value() if hasattr(value, "as_value") else value for _, member, value in ports if member.flow == wiring.In
    ]


def test_every_unit_is_listed_here():
    assert sorted(UNITS) == sorted(PARAMETERS)


@pytest.mark.parametrize("name", sorted(PARAMETERS))
def test_every_unit_simulates(name):
    component = UNITS[name](**PARAMETERS[name])
    rng = np.random.default_rng(1)
    own_clock = isinstance(component, Top)

    async def noise(ctx):
        for cycle in range(20):
            for port in inputs(component):
                ctx.set(port, int.from_bytes(rng.bytes(-(-len(port) // 8)), "little") & ((1 << len(port)) - 1))
            if own_clock:
                ctx.set(component.aresetn, cycle > 2)
                for level in (0, 1):
                    ctx.set(component.aclk, level)
                    await ctx.delay(1e-6)
            else:
                await ctx.tick()

    run(component, noise, clocked=not own_clock)


@pytest.mark.parametrize("name", sorted(PARAMETERS))
def test_every_unit_converts_with_all_that_is_in_it(name):
    assert undefined(verilog.convert(UNITS[name](**PARAMETERS[name]))) == set()


def test_in_primitives_of_the_chip_only_those_are_left_to_the_tools():
    assert undefined(verilog.convert(Array(**ARRAY, mapping=Ultrascale))) == {"LUT6_2", "CARRY8"}


def test_the_array_counts():
    array = Array(**ARRAY)
    ones = np.ones((4, 16), np.uint8)
    s, r, c = count(ones, ones, Kind.UNSIGNED, 1, Kind.UNSIGNED, 1)
    shown = []

    async def one_tile(ctx):
        controls = (array.first, array.last, array.enable)
        for port in (array.left, array.right):
            ctx.set(port, (1 << 64) - 1)
        for port in controls:
            ctx.set(port, 1)
        await ctx.tick()
        for port in controls:
            ctx.set(port, 0)
        for _ in range(array.latency + array.groups):
            if ctx.get(array.valid):
                shown.append([words(ctx.get(port)) for port in (array.s, array.r, array.c)])
            await ctx.tick()

    def words(value):
        return [value >> start & 0xFFFFFF for start in range(0, max(value.bit_length(), 1), 24)]

    run(array, one_tile)
    assert s[0, 0] == 16
    assert shown == [[s[rows].ravel().tolist(), r[rows].tolist(), c.tolist()] for rows in (slice(0, 2), slice(2, 4))]


def test_an_operand_memory_keeps_its_words():
    memory = OperandMemory(**OPERANDS)
    load = memory.i_load
    words = {(address, bank): 1000 * address + bank + 1 for address in range(3) for bank in range(4)}

    async def fill_and_read(ctx):
        ctx.set(load.valid, 1)
        ctx.set(load.p.gather, 1)
        for (address, bank), value in words.items():
            ctx.set(load.p.address, address)
            ctx.set(load.p.bank, bank)
            ctx.set(load.p.data, value)
            assert ctx.get(load.ready)
            await ctx.tick()
        ctx.set(load.valid, 0)
        await ctx.tick().repeat(memory.write_latency)
        for address in range(3):
            ctx.set(memory.read_address, address)
            await ctx.tick().repeat(memory.read_latency)
            shown = ctx.get(memory.o)
            assert [shown >> 16 * bank & 0xFFFF for bank in range(4)] == [words[address, bank] for bank in range(4)]

    run(memory, fill_and_read)
