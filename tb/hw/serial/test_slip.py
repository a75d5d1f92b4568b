"""Framing against the reference: content in and out of frames, damage told, nothing of one frame in the next."""

import cocotb
import numpy as np
import pytest
from amaranth.hdl import Module
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from golden.serial import END, ESCAPE, ESCAPED_END, escape, unescape
from hw.serial.slip import CONTENT, OUTGOING, SlipDecoder, SlipEncoder
from hw.serial.uart import RECEIVED
from tb.lib.harness import SIMULATORS, StreamSink, StreamSource, reset, simulate, start_clock

STALLS = [(0.0, 0.0), (0.5, 0.0), (0.0, 0.5), (0.5, 0.5)]


class Both(wiring.Component):
    """Decoder and encoder side by side."""

    def __init__(self):
        super().__init__({
            "i": In(stream.Signature(RECEIVED)), "o": Out(stream.Signature(CONTENT)),
            "i_content": In(stream.Signature(OUTGOING)), "o_bytes": Out(stream.Signature(8)),
        })  # fmt: skip

    def elaborate(self, platform):
        m = Module()
        m.submodules.decoder = decoder = SlipDecoder()
        m.submodules.encoder = encoder = SlipEncoder()
        wiring.connect(m, wiring.flipped(self.i), decoder.i)
        wiring.connect(m, decoder.o, wiring.flipped(self.o))
        wiring.connect(m, wiring.flipped(self.i_content), encoder.i)
        wiring.connect(m, encoder.o, wiring.flipped(self.o_bytes))
        return m


def contents(rng, count=12):
    """Contents full of bytes that need a pair."""
    special = np.array([END, ESCAPE, ESCAPED_END, 0], np.uint8)
    return [rng.choice(special, int(rng.integers(1, 30))).tobytes() for _ in range(count)] + [bytes(range(256))]


def received(line, errors=()):
    return {"data": np.frombuffer(line, np.uint8), "error": np.isin(np.arange(len(line)), errors).astype(int)}


def expected(frames):
    """What the decoder gives for (bytes between two END, damaged)."""
    rows = []
    for inner, damaged in frames:
        content, legal = unescape(inner)
        rows += [(byte, 0, 0) for byte in content] + [(0, 1, int(damaged or not legal))]
    return np.array(rows)


async def check_decoder(dut, line, errors, frames, stalls, rng):
    source, sink = StreamSource(dut, "i", RECEIVED, stalls[0], rng), StreamSink(dut, "o", CONTENT, stalls[1], rng)
    source.send(received(line, errors))
    wanted = expected(frames)
    got = await sink.receive(len(wanted))
    assert (np.stack([got["data"], got["end"], got["error"]], axis=1) == wanted).all()
    await sink.expect_nothing()


@cocotb.test()
@cocotb.parametrize(stalls=STALLS)
async def takes_content_out_of_frames(dut, stalls):
    rng = np.random.default_rng(2)
    await start_clock(dut)
    some = contents(rng)
    await check_decoder(dut, b"".join(map(escape, some)), (), [(escape(c)[1:-1], False) for c in some], stalls, rng)


@cocotb.test()
@cocotb.parametrize(stalls=STALLS)
async def tells_damage_and_is_in_step_at_the_next_frame(dut, stalls):
    rng = np.random.default_rng(3)
    await start_clock(dut)
    good, end = escape(b"good"), bytes([END])
    illegal, cut = bytes([ESCAPE, 7, 8]), bytes([1, ESCAPE])
    line = good + end + b"lost here" + end + good + illegal + end + good + cut + end + good + end * 3 + b"?" + end + good
    # Bytes that the line damaged: one of "lost here", whose data mean nothing, and all of a frame of one.
    bad = (line.index(b" here"), line.index(b"?"))
    frames = [(b"good", False), (b"losthere", True), (b"good", False), (illegal, False), (b"good", False), (cut, False),
              (b"good", False), (b"", True), (b"good", False)]  # fmt: skip
    await check_decoder(dut, line, bad, frames, stalls, rng)


@cocotb.test()
@cocotb.parametrize(stalls=STALLS)
async def puts_content_into_frames(dut, stalls):
    rng = np.random.default_rng(4)
    await start_clock(dut)
    some = contents(rng)
    source = StreamSource(dut, "i_content", OUTGOING, stalls[0], rng)
    sink = StreamSink(dut, "o_bytes", 8, stalls[1], rng)
    for content in some:
        last = np.arange(len(content)) == len(content) - 1
        source.send({"data": np.frombuffer(content, np.uint8), "last": last.astype(int)})
    line = b"".join(map(escape, some))
    assert bytes((await sink.receive(len(line))).tolist()) == line
    await sink.expect_nothing()


@cocotb.test()
async def forgets_at_reset(dut):
    rng = np.random.default_rng(5)
    await start_clock(dut)
    source, sink = StreamSource(dut, "i", RECEIVED, 0.0, rng), StreamSink(dut, "o", CONTENT, 0.0, rng)
    source.send(received(b"half a frame" + bytes([ESCAPE]), (3,)))
    await sink.receive(11)
    await reset(dut, source, sink)
    await check_decoder(dut, escape(b"new"), (), [(b"new", False)], (0.0, 0.0), rng)


@pytest.mark.parametrize("simulator", SIMULATORS)
def test_serial_slip(simulator):
    simulate(Both(), __name__, simulator)
