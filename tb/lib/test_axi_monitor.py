"""The protocol monitor catches each broken rule, on signals that need no simulator."""

from types import SimpleNamespace

import cocotb
import pytest
from cocotb.types import LogicArray

from tb.lib.axi_monitor import AxiMonitor

WIDTHS = {
    "id": 1, "addr": 40, "len": 8, "size": 3, "burst": 2, "cache": 4, "prot": 3, "data": 64, "resp": 2, "last": 1,
    "strb": 8, "valid": 1, "ready": 1,
}  # fmt: skip
CHANNELS = {
    "ar": ("id", "addr", "len", "size", "burst", "cache", "prot"), "r": ("id", "data", "resp", "last"),
    "aw": ("id", "addr", "len", "size", "burst", "cache", "prot"), "w": ("data", "strb", "last"), "b": ("id", "resp"),
}  # fmt: skip


class Wires:
    """A monitor on 64-bit AXI whose signals the test sets."""

    def __init__(self):
        self.dut = SimpleNamespace(_name="dut", clk=None, rst=SimpleNamespace(value=LogicArray("0")))
        for channel, names in CHANNELS.items():
            for name in ("valid", "ready", *names):
                signal = SimpleNamespace(value=LogicArray.from_unsigned(0, WIDTHS[name]))
                setattr(self.dut, f"{channel}{name}", signal)
        self.monitor = AxiMonitor(self.dut, "", 64)

    def cycle(self, **channels):
        """``ar=dict(addr=8)``: that channel moves with these values; ``ready=0`` among them: it is refused."""
        for channel, names in CHANNELS.items():
            fields = channels.get(channel)
            values = {"valid": fields is not None, "ready": 1} | {"size": 3, "burst": 1, "strb": 255} | (fields or {})
            for name in ("valid", "ready", *names):
                value = values.get(name, 0)
                word = LogicArray(value) if isinstance(value, str) else LogicArray.from_unsigned(int(value), WIDTHS[name])
                getattr(self.dut, f"{channel}{name}").value = word
        self.monitor.cycle()


@pytest.fixture
def wires(monkeypatch):
    monkeypatch.setattr(cocotb, "start_soon", lambda coroutine: coroutine.close())
    return Wires()


def test_lets_legal_traffic_pass(wires):
    wires.cycle(ar={"addr": 4096 - 16, "len": 1, "ready": 0}, w={"last": 0})
    wires.cycle(ar={"addr": 4096 - 16, "len": 1}, w={"data": "x" * 64, "strb": 0, "last": 1})
    wires.cycle(r={"last": 0}, aw={"addr": 0, "len": 1})
    wires.cycle(r={"last": 1}, b={})
    wires.monitor.assert_quiet()
    assert wires.monitor.reads == [(4080, 2)]
    assert wires.monitor.writes == [(0, 2)]
    assert (wires.monitor.read_beats, wires.monitor.write_beats, wires.monitor.write_answers) == (2, 2, 1)


BROKEN: dict[str, list[dict]] = {
    "arvalid or arready is X": [{"ar": {"valid": "x"}}],
    "araddr is X": [{"ar": {"addr": "x" * 40}}],
    "strobed wdata is X": [{"w": {"data": "x" * 64, "strb": 1}}],
    "arvalid was withdrawn": [{"ar": {"ready": 0}}, {}],
    "w offered .* and then offered": [{"w": {"ready": 0}}, {"w": {"data": 1}}],
    "has beats of 4 bytes": [{"ar": {"size": 2}}],
    "is of kind 2": [{"aw": {"burst": 2}}],
    "is not aligned": [{"aw": {"addr": 4}}],
    "crosses 4 KB": [{"ar": {"addr": 4096 - 8, "len": 1}}],
    "nobody asked for": [{"r": {}}],
    "rlast is 0 on beat 1 of 1": [{"ar": {}}, {"r": {"last": 0}}],
    "rlast is 1 on beat 1 of 2": [{"ar": {"len": 1}}, {"r": {"last": 1}}],
    "had wlast on beat 1": [{"aw": {"len": 1}}, {"w": {"last": 1}}],
    "went on without wlast": [{"aw": {}}, {"w": {"last": 0}}],
    "without a finished burst": [{"aw": {"len": 1}}, {"w": {}}, {"b": {}}],
}


@pytest.mark.parametrize("message", BROKEN)
def test_catches(wires, message):
    *before, last = BROKEN[message]
    for channels in before:
        wires.cycle(**channels)
    with pytest.raises(AssertionError, match=message):
        wires.cycle(**last)


@pytest.mark.parametrize("channels", [{"ar": {}}, {"aw": {}}, {"w": {}}, {"w": {"last": 1}}])
def test_is_not_quiet_before_all_is_answered(wires, channels):
    wires.cycle(**channels)
    with pytest.raises(AssertionError):
        wires.monitor.assert_quiet()


def test_forgets_at_reset(wires):
    wires.cycle(ar={"ready": 0}, w={})
    wires.dut.rst.value = LogicArray("1")
    wires.cycle()
    wires.monitor.assert_quiet()


def test_needs_a_channel(wires):
    with pytest.raises(ValueError, match="dut has no AXI channel named m_axi_arvalid"):
        AxiMonitor(wires.dut, "m_axi_", 64)
