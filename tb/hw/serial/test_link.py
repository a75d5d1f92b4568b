"""Serial link against the reference: the same answers and the same memory for whole, damaged and repeated requests."""

import cocotb
import numpy as np
import pytest
from cocotb.triggers import RisingEdge

from golden.serial import MOST_BYTES, REQUEST_HEADER, Command, ReferenceBoard, Status, checksum, escape
from hw.serial.link import SerialBridge, byte_access
from hw.serial.slip import CONTENT, OUTGOING
from tb.lib.harness import SIMULATORS, StreamSink, StreamSource, reset, simulate, start_clock
from tb.lib.payload import unpack

MEMORY_BYTES = 3000  # not a power of two
REGISTERS = range(0, 64, 4)  # those that exist


def content(command, sequence, address, data=b"", length=None):
    body = REQUEST_HEADER.pack(command, sequence, len(data) if length is None else length, address) + data
    return body + checksum(body)


class Slaves:
    """Registers behind AXI4-Lite and a memory of bytes; both answer when they like."""

    def __init__(self, dut, stall, rng):
        self.dut, self.stall, self.rng = dut, stall, rng
        self.edge = RisingEdge(dut.clk)
        self.memory = bytearray(rng.bytes(MEMORY_BYTES))
        self.registers = {address: int(rng.integers(1 << 32)) for address in REGISTERS}
        self.written = []
        for name in ("axi__awready", "axi__wready", "axi__bvalid", "axi__arready", "axi__rvalid", "i_memory_valid",
                     "memory__ready"):  # fmt: skip
            getattr(dut, name).value = 0
        for task in (self._write_registers, self._read_registers, self._serve_memory):
            cocotb.start_soon(task())

    async def _pause(self):
        while self.rng.random() < self.stall:
            await self.edge

    async def _take(self, channel):
        """Wait for a transfer on a channel: when ready is given early or late, at random."""
        await self._pause()
        ready, valid = getattr(self.dut, f"axi__{channel}ready"), getattr(self.dut, f"axi__{channel}valid")
        ready.value = 1
        await self.edge
        while not valid.value:
            await self.edge
        ready.value = 0

    async def _give(self, channel, **values):
        await self._pause()
        for name, value in values.items():
            getattr(self.dut, f"axi__{channel}{name}").value = value
        getattr(self.dut, f"axi__{channel}valid").value = 1
        await self.edge
        while not getattr(self.dut, f"axi__{channel}ready").value:
            await self.edge
        getattr(self.dut, f"axi__{channel}valid").value = 0

    async def _write_registers(self):
        while True:
            first, second = ("aw", "w") if self.rng.random() < 0.5 else ("w", "aw")
            seen = {}
            for channel in (first, second):
                await self._take(channel)
                if channel == "aw":
                    seen["address"] = int(self.dut.axi__awaddr.value)
                else:
                    seen["value"], seen["strobe"] = int(self.dut.axi__wdata.value), int(self.dut.axi__wstrb.value)
            assert seen["strobe"] == 15
            known = seen["address"] in self.registers
            if known:
                self.registers[seen["address"]] = seen["value"]
                self.written.append((seen["address"], seen["value"]))
            await self._give("b", resp=0 if known else 2)

    async def _read_registers(self):
        while True:
            await self._take("ar")
            address = int(self.dut.axi__araddr.value)
            known = address in self.registers
            await self._give("r", data=self.registers.get(address, 0xDEADBEEF), resp=0 if known else 2)

    async def _serve_memory(self):
        dut = self.dut
        while True:
            await self._pause()
            dut.memory__ready.value = 1
            await self.edge
            while not dut.memory__valid.value:
                await self.edge
            dut.memory__ready.value = 0
            bits = str(dut.memory__payload.value)
            if bits[0] == "0":  # a read, whose data nobody looks at and may be anything
                bits = bits.lower().replace("x", "0")
            access = {k: int(v[0]) for k, v in unpack(byte_access(MEMORY_BYTES), [int(bits, 2)]).items()}
            assert access["address"] < MEMORY_BYTES
            if access["write"]:
                self.memory[access["address"]] = access["data"]
                continue
            await self._pause()
            dut.i_memory_data.value = self.memory[access["address"]]
            dut.i_memory_valid.value = 1
            await self.edge
            dut.i_memory_valid.value = 0


class Bench:
    def __init__(self, dut, stall, rng):
        self.dut, self.rng = dut, rng
        self.slaves = slaves = Slaves(dut, stall, rng)
        self.registers, self.written = dict(slaves.registers), []
        self.board = ReferenceBoard(bytearray(slaves.memory), self.registers.__getitem__, self._write)
        self.source, self.sink = StreamSource(dut, "i", CONTENT, stall, rng), StreamSink(dut, "o", OUTGOING, stall, rng)
        self.counts = {"accepted": 0, "rejected": 0}
        cocotb.start_soon(self._count())

    def _write(self, address, value):
        self.registers[address]  # KeyError where there is none
        self.registers[address] = value
        self.written.append((address, value))

    async def _count(self):
        while True:
            await RisingEdge(self.dut.clk)
            for name in self.counts:
                self.counts[name] += int(getattr(self.dut, f"o_{name}").value)

    async def ask(self, request, damaged=False):
        """Send a request and compare the answer; returns its status."""
        expected = self.board.answer(escape(request)[1:-1], damaged)
        assert expected is not None
        count = len(request) + 1
        self.source.send({
            "data": np.frombuffer(request + b"\0", np.uint8), "end": np.arange(count) == count - 1,
            "error": (np.arange(count) == count - 1) & damaged,
        })  # fmt: skip
        got = await self.sink.receive(len(expected), patience=60_000)
        assert bytes(got["data"].tolist()) == expected
        assert got["last"].tolist() == [0] * (len(expected) - 1) + [1]
        await RisingEdge(self.dut.clk)
        return Status(expected[0])

    def check(self):
        assert self.slaves.memory == self.board.memory
        assert self.slaves.registers == self.registers
        assert self.slaves.written == self.written


def random_requests(rng, count):
    """Requests of every kind at random: whole ones, and ones with each thing that can be wrong."""
    for _ in range(count):
        command, length = Command(int(rng.integers(1, 5))), int(rng.integers(1, 40))
        address = int(rng.integers(0, MEMORY_BYTES + 10))
        if command in (Command.READ_REGISTER, Command.WRITE_REGISTER):
            length, address = 4, int(rng.choice([*REGISTERS, 64, 4092, 4096, 5, 6, 1 << 20]))
        if rng.random() < 0.15:
            length = int(rng.choice([0, 1, 3, 5, MOST_BYTES + 1]))
        data = rng.bytes(length) if command.writes else b""
        request = content(command, int(rng.integers(3)), address, data, length)
        match rng.integers(10):
            case 0:  # a bit is wrong
                place = int(rng.integers(8 * len(request)))
                request = bytearray(request)
                request[place // 8] ^= 1 << place % 8
            case 1:  # the end is missing
                request = request[: int(rng.integers(1, len(request)))]
            case 2:  # more, or less, than the header says; the checksum is right
                request = content(command, 7, address, rng.bytes(int(rng.integers(50))), length)
            case 3:
                request = content(int(rng.choice([0, 5, 0x81, 255])), int(rng.integers(3)), address, data, length)
        yield bytes(request)


@cocotb.test()
@cocotb.parametrize(stall=[0.0, 0.5])
async def answers_as_the_reference(dut, stall):
    rng = np.random.default_rng(7)
    await start_clock(dut)
    bench = Bench(dut, stall, rng)
    seen = [await bench.ask(request, damaged=rng.random() < 0.05) for request in random_requests(rng, 150)]
    assert set(seen) == set(Status), "the random requests are not of every kind"
    bench.check()
    rejected = sum(status in (Status.BAD_FRAME, Status.BAD_CHECKSUM) for status in seen)
    assert bench.counts == {"accepted": len(seen) - rejected, "rejected": rejected}
    await bench.sink.expect_nothing()


@cocotb.test()
async def moves_as_much_as_fits_and_not_a_byte_beyond(dut):
    rng = np.random.default_rng(8)
    await start_clock(dut)
    bench = Bench(dut, 0.0, rng)
    last = MEMORY_BYTES - MOST_BYTES
    assert await bench.ask(content(Command.WRITE_MEMORY, 1, last, rng.bytes(MOST_BYTES))) == Status.DONE
    assert await bench.ask(content(Command.READ_MEMORY, 2, last, length=MOST_BYTES)) == Status.DONE
    assert await bench.ask(content(Command.WRITE_MEMORY, 3, last + 1, rng.bytes(MOST_BYTES))) == Status.BAD_ADDRESS
    assert await bench.ask(content(Command.READ_MEMORY, 4, 0xFFFFFFFF, length=4)) == Status.BAD_ADDRESS
    assert await bench.ask(content(Command.WRITE_MEMORY, 5, 0, rng.bytes(MOST_BYTES + 1))) == Status.BAD_FRAME
    assert await bench.ask(content(Command.WRITE_MEMORY, 6, 0, rng.bytes(MOST_BYTES + 200))) == Status.BAD_FRAME
    assert await bench.ask(content(Command.READ_MEMORY, 7, 0, length=MOST_BYTES + 1)) == Status.BAD_COMMAND
    assert await bench.ask(content(Command.WRITE_MEMORY, 8, MEMORY_BYTES - 1, b"x")) == Status.DONE
    bench.check()


@cocotb.test()
async def a_repeated_write_is_answered_again_and_not_done_again(dut):
    rng = np.random.default_rng(9)
    await start_clock(dut)
    bench = Bench(dut, 0.2, rng)
    start = content(Command.WRITE_REGISTER, 0, 8, b"\1\0\0\0")
    for _ in range(2):  # sequence number 0 is not taken for a repetition after reset
        assert await bench.ask(start) == Status.DONE
    assert bench.slaves.written == [(8, 1)]
    nowhere = content(Command.WRITE_REGISTER, 1, 2048, b"\1\0\0\0")
    assert [await bench.ask(nowhere) for _ in range(2)] == [Status.BAD_ADDRESS] * 2
    assert await bench.ask(content(Command.READ_REGISTER, 1, 8, length=4)) == Status.DONE  # reads may be repeated
    assert await bench.ask(content(Command.WRITE_REGISTER, 0, 8, b"\2\0\0\0")) == Status.DONE
    assert await bench.ask(start[:-1]) == Status.BAD_CHECKSUM  # damage in between changes nothing
    assert await bench.ask(content(Command.WRITE_REGISTER, 0, 8, b"\2\0\0\0")) == Status.DONE
    bench.check()
    assert bench.slaves.written == [(8, 1), (8, 2)]


@cocotb.test()
async def forgets_at_reset(dut):
    rng = np.random.default_rng(10)
    await start_clock(dut)
    bench = Bench(dut, 0.0, rng)
    await bench.ask(content(Command.WRITE_REGISTER, 4, 8, b"\1\0\0\0"))
    bench.source.send({"data": np.arange(5), "end": np.zeros(5, int), "error": np.zeros(5, int)})
    for _ in range(20):
        await RisingEdge(dut.clk)
    await reset(dut, bench.source, bench.sink)
    bench.board._last = None
    assert await bench.ask(content(Command.WRITE_REGISTER, 4, 8, b"\3\0\0\0")) == Status.DONE
    bench.check()


@pytest.mark.parametrize("simulator", SIMULATORS)
def test_serial_link(simulator):
    simulate(SerialBridge(MEMORY_BYTES), __name__, simulator)
