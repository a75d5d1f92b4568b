"""The top that is routed, at its pins: bytes in on the serial line, labels out, equal to the reference."""

from dataclasses import replace
from functools import cache
from pathlib import Path

import cocotb
import numpy as np
import pytest
from cocotb.clock import Clock
from cocotb.task import bridge
from cocotb.triggers import ClockCycles

from boards.serial.link import DamagedLine, NoAnswer, Refused
from boards.serial.transport import SerialTransport
from boards.ulx3s.design import CLOCK_HZ, Ulx3s, pll_dividers
from boards.ulx3s.record import BOARD
from formats import bundle as bundle_file
from formats.errors import UsageError
from golden.encoder import encode
from golden.serial import END, Command, request
from isa.errors import Error
from isa.presets import preset
from isa.registers import ADDRESS, IDENTIFICATION
from program.compiler.compiler import compile_encoder
from program.memory_image import pack_input, unpack_output
from tb.boards.ulx3s.pins import PinPort
from tb.lib.harness import ROOT, Simulator, parameters, simulate
from tb.lib.words import naming

MODELS = Path(__file__).with_name("ecp5_models.v").read_text()
MEMORY_BYTES = BOARD.memory_bytes
INPUT, OUTPUT = MEMORY_BYTES - 8192, MEMORY_BYTES - 4096
LIGHTS = ("ready", "busy", "done", "error", "interrupt", "request", "damage", "beat")


async def begin(dut):
    """Clock, and the reset that the design gives itself; the serial line at the pins."""
    dut.button.value = 0
    port = PinPort(dut, parameters()["divisor"])
    Clock(dut.clk25, 40, unit="ns").start()
    await ClockCycles(dut.clk25, 100)
    return port


def connect(port):
    return SerialTransport(port.path, port=port, timeout=8e-4 * port.divisor, attempts=3)


def lights(dut):
    shown = int(dut.led.value)
    return {name for place, name in enumerate(LIGHTS) if shown >> place & 1} - {"beat"}


@cocotb.test()
async def reads_writes_and_recovers_from_damage(dut):
    rng = np.random.default_rng(30)
    port = await begin(dut)
    assert lights(dut) == {"ready"}

    def host():
        transport = connect(port)
        assert transport.read_register(ADDRESS["identification"]) == IDENTIFICATION
        data = rng.bytes(40) + bytes([0xC0, 0xDB, 0xDC, 0xDD])
        transport.write_memory(MEMORY_BYTES - 50, data)
        assert transport.read_memory(MEMORY_BYTES - 50, 44) == data
        with pytest.raises(Refused, match="the address is outside its memory"):
            transport.link.ask(Command.READ_MEMORY, MEMORY_BYTES - 1, length=2)
        assert transport.link.repeated == 0
        return transport, data

    transport, data = await bridge(host)()
    assert lights(dut) == {"ready", "request"}

    def damaged(fault, error, words):
        def run():
            port.fault = fault
            with pytest.raises(error, match=words):
                transport.write_memory(MEMORY_BYTES - 50, b"damaged")
            port.fault = bytes
            assert transport.read_memory(MEMORY_BYTES - 50, 44) == data

        return bridge(run)()

    await damaged(lambda d: d[:12] + bytes([d[12] ^ 4]) + d[13:], DamagedLine, "BAD_CHECKSUM")
    assert lights(dut) == {"ready", "request", "damage"}
    await damaged(lambda d: d[:5] + d[6:], DamagedLine, "BAD_CHECKSUM")
    await damaged(lambda d: d[:5] + d[-1:], DamagedLine, "BAD_FRAME")
    await damaged(lambda d: d[1:5], NoAnswer, "nothing answers")

    # A wire that is cut in the middle of a byte, and the button.
    port._dut.uart_rx.value = 0
    await ClockCycles(dut.clk25, 30 * parameters()["divisor"])
    port._dut.uart_rx.value = 1
    await ClockCycles(dut.clk25, 3 * parameters()["divisor"])

    def again():
        assert transport.read_memory(MEMORY_BYTES - 50, 44) == data

    await bridge(again)()
    await port.send(request(Command.WRITE_MEMORY, 1, 0, b"half a request")[:15])
    dut.button.value = 1
    await ClockCycles(dut.clk25, 10)
    dut.button.value = 0
    await ClockCycles(dut.clk25, 100)
    assert lights(dut) == {"ready"}
    await bridge(again)()


@cache
def compiled(name):
    bundle = bundle_file.load(ROOT / "bundles" / f"{name}.bundle")
    return bundle, compile_encoder(bundle.encoder, preset(BOARD.preset))


def load(transport, program, used):
    """The program, without the rows of the embedding table that are not ``used``: most of a text model."""
    unused = np.zeros(len(program.image), bool)
    for piece in program.pieces:
        if used is not None and piece.size >= len(program.image) // 2:
            rows = np.arange(piece.size) // (piece.size // program.input.size)
            unused[piece.offset : piece.offset + piece.size] = ~np.isin(rows, used)
    edges = np.flatnonzero(np.diff(unused, prepend=True, append=True))
    for first, end in zip(edges[::2].tolist(), edges[1::2].tolist()):
        transport.write_memory(first, program.image[first:end])
    for name, value in {
        "image_base_low": 0, "input_base_low": INPUT, "output_base_low": OUTPUT, "image_base_high": 0,
        "input_base_high": 0, "output_base_high": 0, "program_offset": program.program_offset,
        "program_length": len(program.instructions), "watchdog": 100_000, "interrupt_enable": 1,
    }.items():  # fmt: skip
        transport.write_register(ADDRESS[name], value)


def infer(transport, program, inputs, length):
    """Logits of one sample, or the error code."""
    transport.write_memory(INPUT, pack_input(program, inputs, length))
    transport.write_register(ADDRESS["length0"], length)
    transport.write_register(ADDRESS["control"], 1)
    while (status := transport.read_register(ADDRESS["status"])) & 1:
        pass
    transport.write_register(ADDRESS["interrupt"], 1)
    if status == 4:
        return Error(transport.read_register(ADDRESS["error_code"]))
    assert status == 2
    return unpack_output(program, transport.read_memory(OUTPUT, program.output.bytes), length)


@cocotb.test()
@cocotb.parametrize(name=["fashion-mnist-w1a1", "sst2-w1a1"])
async def gives_the_labels_of_a_bundled_model(dut, name):
    port = await begin(dut)
    bundle, program = compiled(name)
    samples = bundle.samples

    def host():
        transport = connect(port)
        text = bundle.samples.texts is not None and len(bundle.samples.texts) > 0
        load(transport, program, np.unique(samples.inputs[:2]) if text else None)
        for index in range(2):
            length = int(samples.lengths[index])
            expected = encode(bundle.encoder, samples.inputs[index], length)["logits"]
            got = infer(transport, program, samples.inputs[index], length)
            assert (got == expected).all()
            print(f"{name}: sample {index} is {bundle.labels[int(got.reshape(-1).argmax())]}")
        # A damaged request in the middle of things, and a program that cannot run: told, and the next run works.
        times = [1]

        def once(data):
            times[0] -= 1
            return data if times[0] else data[:9] + bytes([END]) + data[9:]

        port.fault = once
        assert (infer(transport, program, samples.inputs[1], length) == expected).all()
        assert transport.link.repeated == 1
        transport.write_register(ADDRESS["image_base_low"], MEMORY_BYTES)
        assert infer(transport, program, samples.inputs[1], length) is Error.AXI_READ
        transport.write_register(ADDRESS["image_base_low"], 0)
        assert (infer(transport, program, samples.inputs[1], length) == expected).all()

    await bridge(host)()
    assert lights(dut) == {"ready", "done", "request", "damage"}


@pytest.mark.slow
def test_the_top_that_is_routed_runs_both_kinds_of_model_at_its_pins():
    """One cycle a bit, so that a program is there in a minute; all else is what is routed."""
    top = Ulx3s(CLOCK_HZ, CLOCK_HZ)
    simulate(top, __name__, Simulator.VERILATOR, parameters={"divisor": top.divisor}, models=MODELS, long=True)


def test_a_clock_or_a_baud_rate_that_cannot_be_made_is_refused():
    with pytest.raises(UsageError, match=naming("61.234 MHz", "25 MHz", "nearest", 60, 62.5, 58.3333)):
        pll_dividers(61_234_000)
    with pytest.raises(UsageError, match=naming("7000000 baud", "5.0%", "60 MHz")):
        Ulx3s(60_000_000, 7_000_000)
    with pytest.raises(UsageError, match=naming("1 port", 2, "--set ports")):
        Ulx3s(config=replace(preset("tiny"), ports=2))
    for hertz in (60_000_000, 62_500_000, 75_000_000, 100_000_000):
        divider, feedback, output = pll_dividers(hertz)
        assert 25_000_000 * feedback == hertz * divider
        assert 400_000_000 <= hertz * output <= 800_000_000
