"""The harness on small stream components: right ones pass, and each way of being wrong is caught."""

import cocotb
import numpy as np
import pytest
from amaranth.hdl import Module, Signal, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out
from cocotb.triggers import RisingEdge
from hypothesis import given
from hypothesis import strategies as st

from tb.lib.harness import SIMULATORS, StreamSink, StreamSource, parameters, reset, simulate, start_clock
from tb.lib.payload import pack, unpack

PAIR = data.StructLayout({"tag": 5, "value": data.ArrayLayout(signed(20), 4)})
COUNTS = {"counts": [150, 50]}


class Register(wiring.Component):
    """One register on a stream of `PAIR`; ``fault`` breaks it in one way."""

    def __init__(self, fault=None):
        self.fault = fault
        super().__init__({"i": In(stream.Signature(PAIR)), "o": Out(stream.Signature(PAIR))})

    def elaborate(self, platform):
        m = Module()
        m.d.comb += self.i.ready.eq(~self.o.valid | self.o.ready)
        with m.If(self.i.ready):
            m.d.sync += [self.o.valid.eq(self.i.valid), self.o.payload.eq(self.i.payload)]
        if self.fault == "value":
            with m.If(self.i.ready & (self.i.p.tag == 7)):
                m.d.sync += self.o.p.value[3].eq(0)
        if self.fault == "unstable":
            with m.If(self.o.valid & ~self.o.ready):
                m.d.sync += self.o.p.tag.eq(self.o.p.tag + 1)
        if self.fault == "withdraws":
            with m.If(self.o.valid & ~self.o.ready):
                m.d.sync += self.o.valid.eq(0)
        if self.fault == "stuck":
            count = Signal(range(100))
            with m.If(self.i.valid & self.i.ready & (count != 99)):
                m.d.sync += count.eq(count + 1)
            with m.If(count == 99):
                m.d.comb += self.i.ready.eq(0)
                m.d.sync += self.o.valid.eq(0)
        if self.fault == "repeats":
            first = Signal(init=1)
            with m.If(self.o.valid & self.o.ready & first):
                m.d.sync += [first.eq(0), self.o.valid.eq(1), self.o.payload.eq(self.o.payload)]
                m.d.comb += self.i.ready.eq(0)
        return m


class Wire(Register):
    """Combinational paths both ways, the hardest for drivers: all they do is seen in the same cycle."""

    def elaborate(self, platform):
        m = Module()
        wiring.connect(m, wiring.flipped(self.i), wiring.flipped(self.o))
        m.d.sync += Signal().eq(self.i.valid)  # a component without registers would have no clock to run a bench on
        return m


def batch(rng, count):
    return {"tag": rng.integers(0, 32, count), "value": rng.integers(-(2**19), 2**19, (count, 4))}


def drivers(dut, stalls, rng):
    return StreamSource(dut, "i", PAIR, stalls[0], rng), StreamSink(dut, "o", PAIR, stalls[1], rng)


@cocotb.test()
@cocotb.parametrize(stalls=[(0.0, 0.0), (0.5, 0.0), (0.0, 0.5), (0.6, 0.6)])
async def passes_everything_on(dut, stalls):
    rng = np.random.default_rng(1)
    await start_clock(dut)
    source, sink = drivers(dut, stalls, rng)
    sent = [batch(rng, count) for count in parameters()["counts"]]
    for each in sent:
        source.send(each)
    for each in sent:
        got = await sink.receive(len(each["tag"]), patience=100)
        assert (got["tag"] == each["tag"]).all()
        assert (got["value"] == each["value"]).all()
    await sink.expect_nothing()


@cocotb.test()
async def forgets_at_reset(dut):
    rng = np.random.default_rng(2)
    await start_clock(dut)
    source, sink = drivers(dut, (0.0, 0.5), rng)
    source.send(batch(rng, 20))
    await sink.receive(10)
    await reset(dut, source, sink)
    await sink.expect_nothing()
    sent = batch(rng, 20)
    source.send(sent)
    assert ((await sink.receive(20))["value"] == sent["value"]).all()


@cocotb.test(skip=True)
async def waits_for_ever(dut):
    await start_clock(dut, 50)
    dut.i__valid.value, dut.o__ready.value = 0, 0
    for _ in range(1000):  # a very short eternity, so that this ends without the limit as well
        await RisingEdge(dut.clk)


@pytest.mark.parametrize("simulator", SIMULATORS)
def test_a_register_passes_everything_on(simulator):
    simulate(Register(), __name__, simulator, parameters=COUNTS)


@pytest.mark.parametrize("simulator", SIMULATORS)
def test_a_bench_that_waits_for_ever_fails(simulator):
    with pytest.raises(AssertionError, match="no end after 50 cycles"):
        simulate(Register(), __name__, simulator, only="waits_for_ever")


@pytest.mark.parametrize("simulator", SIMULATORS)
def test_a_wire_passes_everything_on(simulator):
    simulate(Wire(), __name__, simulator, parameters=COUNTS)


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("value", "assert"),
        ("unstable", "was refused, and then offered"),
        ("withdraws", "was refused, and then offered None"),
        ("stuck", "then nothing for 100 cycles"),
        ("repeats", "assert"),
    ],
)
@pytest.mark.parametrize("simulator", SIMULATORS)
def test_a_broken_register_is_caught(fault, message, simulator):
    with pytest.raises(AssertionError, match=message):
        simulate(Register(fault), __name__, simulator, parameters=COUNTS)


def test_no_matching_test_is_a_failure():
    with pytest.raises(AssertionError, match=r"no cocotb test ran|without results"):
        simulate(Register(), __name__, "icarus", only="nothing_is_called_this")


def test_an_unknown_simulator_is_refused():
    with pytest.raises(ValueError, match="modelsim"):
        simulate(None, __name__, "modelsim")


def test_stall_must_leave_some_cycles():
    with pytest.raises(ValueError, match=r"stall is a probability below 1, not 1\.0"):
        StreamSink(None, "o", PAIR, 1.0, None)


@given(st.integers(1, 200), st.booleans(), st.data())
def test_numbers_survive_packing(width, is_signed, draw):
    shape = signed(width) if is_signed else width
    low, high = (-(2 ** (width - 1)), 2 ** (width - 1) - 1) if is_signed else (0, 2**width - 1)
    numbers = draw.draw(st.lists(st.integers(low, high), min_size=1, max_size=5))
    words = pack(shape, np.array(numbers, object))
    assert words == [number % 2**width for number in numbers]
    assert unpack(shape, words).tolist() == numbers


def test_packing_agrees_with_amaranth():
    rng = np.random.default_rng(3)
    layout = data.StructLayout({"pair": PAIR, "last": 1, "word": 130})
    word = [int.from_bytes(rng.bytes(17), "little") >> 6 for _ in range(10)]
    sent = {"pair": batch(rng, 10), "last": rng.integers(0, 2, 10), "word": np.array(word, object)}
    words = pack(layout, sent)
    for i in range(10):
        constant = layout.const({
            "pair": {"tag": int(sent["pair"]["tag"][i]), "value": sent["pair"]["value"][i].tolist()},
            "last": int(sent["last"][i]),
            "word": word[i],
        })  # fmt: skip
        assert words[i] == constant.as_bits()
    back = unpack(layout, words)
    assert (back["pair"]["value"] == sent["pair"]["value"]).all()
    assert back["word"].tolist() == word


def test_a_value_out_of_range_is_refused():
    with pytest.raises(ValueError, match=r"payload\.tag must be in 0\.\.31, not 0\.\.32"):
        pack(PAIR, {"tag": [0, 32], "value": np.zeros((2, 4), int)})


def test_a_missing_field_is_refused():
    with pytest.raises(ValueError, match=r"payload has fields \['tag', 'value'\], not \['tag'\]"):
        pack(PAIR, {"tag": [0]})
