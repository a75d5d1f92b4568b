"""The whole accelerator in cocotb: small encoders from input to logits, over AXI with random pauses on every channel."""

import logging
from dataclasses import replace

import cocotb
import numpy as np
import pytest
from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In
from cocotb.triggers import RisingEdge
from cocotbext.axi import AxiLiteBus, AxiLiteMaster, AxiResp

from golden.codes import Kind
from golden.encoder import encode
from golden.model import Attention, Format, Head, Input, Order
from hw.top import Top
from isa.errors import Error
from isa.instruction import INSTRUCTION_BYTES
from isa.presets import preset
from isa.registers import ADDRESS, IDENTIFICATION
from isa.sizes import BURST_BEATS, memory_prefixes
from program.compiler.compiler import compile_encoder
from program.memory_image import pack_input, unpack_output
from tb.lib.axi_memory import AxiMemory
from tb.lib.axi_monitor import AxiMonitor
from tb.lib.harness import SIMULATORS, Simulator, parameters, reset, simulate, start_clock
from tb.models import random_encoder, random_inputs

CONFIGS = {ports: replace(preset("tiny"), ports=ports) for ports in (1, 2)}
INPUT, OUTPUT, SIZE = 0x18000, 0x1C000, 0x20000
PATIENCE = 60_000  # cycles


def chosen_config():
    """The configuration that the test runs on."""
    return CONFIGS[parameters()["ports"]]


class Dut(wiring.Component):
    """The accelerator behind the clock and reset that the harness drives."""

    def __init__(self, config):
        self._accelerator = Top(config)
        members = dict(self._accelerator.signature.members)
        ports = {name: member for name, member in members.items() if name not in ("aclk", "aresetn")}
        super().__init__({"clk": In(1), "rst": In(1), **ports})

    def elaborate(self, platform):
        m = Module()
        m.submodules.accelerator = inner = self._accelerator
        m.d.comb += [inner.aclk.eq(self.clk), inner.aresetn.eq(~self.rst)]
        for name, member in self.signature.members.items():
            if name in ("clk", "rst"):
                continue
            mine, its = getattr(self, name), getattr(inner, name)
            m.d.comb += its.eq(mine) if member.flow is In else mine.eq(its)
        return m


class Bench:
    """Host, memory and protocol monitor around one accelerator."""

    def __init__(self, dut, stall, rng):
        self.dut, self.rng = dut, rng
        logging.getLogger(f"cocotb.{dut._name}").setLevel(logging.ERROR)
        self.config = chosen_config()
        prefixes = memory_prefixes(self.config.ports)
        # One memory, reached through ports that pause each by itself.
        self.ports = [AxiMemory(dut, prefix, SIZE, stall, rng) for prefix in prefixes]
        self.memory = self.ports[0]
        for port in self.ports:
            port.bytes = self.memory.bytes
        self.monitors = [AxiMonitor(dut, f"{prefix}_", self.config.port_bits) for prefix in prefixes]
        self.master = AxiLiteMaster(AxiLiteBus.from_prefix(dut, "s_axi_control"), dut.clk, dut.rst)

    def break_memory(self, addresses):
        """Access to ``addresses`` is answered with an error, on every port."""
        for port in self.ports:
            port.bad = addresses

    async def write(self, register, value):
        assert (await self.master.write(ADDRESS[register], int(value).to_bytes(4, "little"))).resp == AxiResp.OKAY

    async def read(self, register):
        answer = await self.master.read(ADDRESS[register], 4)
        assert answer.resp == AxiResp.OKAY
        return int.from_bytes(answer.data, "little")

    async def load(self, program, image=None):
        image = program.image if image is None else image
        assert len(image) <= INPUT
        assert program.input.bytes <= OUTPUT - INPUT
        self.memory.bytes[: len(image)] = np.frombuffer(image, np.uint8)
        for name, value in (("image", 0), ("input", INPUT), ("output", OUTPUT)):
            await self.write(f"{name}_base_low", value)
            await self.write(f"{name}_base_high", 0)
        await self.write("program_offset", program.program_offset)
        await self.write("program_length", len(program.instructions))
        await self.write("watchdog", 20_000)
        await self.write("interrupt_enable", 1)

    async def run(self, program, inputs, length):
        """One inference; the logits, or None after an error."""
        data = pack_input(program, inputs, length)
        self.memory.bytes[INPUT : INPUT + len(data)] = np.frombuffer(data, np.uint8)
        await self.write("length0", length)
        await self.write("control", 1)
        for _ in range(PATIENCE):
            await RisingEdge(self.dut.clk)
            if self.dut.irq.value:
                break
        else:
            raise AssertionError(f"no interrupt in {PATIENCE} cycles")
        await self.write("interrupt", 1)
        await RisingEdge(self.dut.clk)
        assert not self.dut.irq.value
        status = await self.read("status")
        assert status in (2, 4), f"status is {status}"
        return unpack_output(program, self.memory.bytes[OUTPUT:].tobytes(), length) if status == 2 else None


def small_encoder(rng, **changes):
    sizes = dict(width=12, heads=2, head_width=5, feed_forward=20, tokens=5, classes=3, input_size=9)
    return random_encoder(rng, **sizes | changes)


VARIANTS = {
    "post_norm_cls": dict(),
    "pre_norm_mean_tokens": dict(
        input=Input.TOKENS, order=Order.PRE, head=Head.MEAN, input_size=20, hidden=Format(Kind.UNSIGNED, 2), rms=True
    ),
    "thresholds_per_token": dict(attention=Attention.THRESHOLD, head=Head.TOKEN, codes=Format(Kind.SIGNED, 2), pooler=True),
}


async def check(bench, encoder, program, inputs, length):
    expected = encode(encoder, inputs, length)
    got = await bench.run(program, inputs, length)
    assert got is not None, f"error {await bench.read('error_code')} at {await bench.read('error_instruction')}"
    assert (got == expected["logits"]).all()
    assert await bench.read("counter_saturations") == expected["saturated"]
    assert await bench.read("counter_instructions") == len(program.instructions)
    for monitor in bench.monitors:
        monitor.assert_quiet()


@cocotb.test()
@cocotb.parametrize(variant=list(VARIANTS), stall=[0.0, 0.5])
async def computes_whole_encoders(dut, variant, stall):
    rng = np.random.default_rng(60)
    encoder = small_encoder(rng, **VARIANTS[variant])
    program = compile_encoder(encoder, chosen_config())
    bench = Bench(dut, stall, rng)
    await start_clock(dut)
    assert await bench.read("identification") == IDENTIFICATION
    await bench.load(program)
    for inputs, length in random_inputs(rng, encoder, 2):
        await check(bench, encoder, program, inputs, length)


@cocotb.test()
async def recovers_from_reset_and_from_errors(dut):
    rng = np.random.default_rng(61)
    encoder = small_encoder(rng)
    program = compile_encoder(encoder, chosen_config())
    ((inputs, length),) = random_inputs(rng, encoder, 1)
    bench = Bench(dut, 0.2, rng)
    await start_clock(dut)
    await bench.load(program)
    await bench.write("length0", length)
    await bench.write("control", 1)
    for _ in range(700):
        await RisingEdge(dut.clk)
    await reset(dut)
    await bench.load(program)
    await check(bench, encoder, program, inputs, length)

    illegal = bytearray(program.image)
    illegal[program.program_offset + 7 * INSTRUCTION_BYTES] = 0xEE
    await bench.load(program, bytes(illegal))
    assert await bench.run(program, inputs, length) is None
    assert (await bench.read("error_code"), await bench.read("error_instruction")) == (Error.ILLEGAL_OPCODE, 7)

    await bench.load(program)
    bench.break_memory(range(INPUT, OUTPUT))
    assert await bench.run(program, inputs, length) is None
    assert await bench.read("error_code") == Error.AXI_READ
    piece = BURST_BEATS * bench.config.port_bits // 8
    assert await bench.read("error_port") == 1 + INPUT // piece % bench.config.ports
    bench.break_memory(range(OUTPUT, SIZE))
    assert await bench.run(program, inputs, length) is None
    assert await bench.read("error_code") == Error.AXI_WRITE
    assert await bench.read("error_port") == 1
    bench.break_memory(range(0))
    await check(bench, encoder, program, inputs, length)


@pytest.mark.slow
@pytest.mark.parametrize("simulator", SIMULATORS)
@pytest.mark.parametrize("ports", CONFIGS)
def test_top(ports, simulator):
    # Icarus, many times slower, is there for what it makes of X and of races, not for each rhythm of the memory.
    only = r"stall=0\.5|recovers" if simulator is Simulator.ICARUS else None
    simulate(Dut(CONFIGS[ports]), __name__, simulator, only=only, parameters={"ports": ports})
