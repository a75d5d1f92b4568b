"""Control: registers and counters of `isa.registers` behind AXI4-Lite."""

from typing import Any

from amaranth import Cat, Module, Mux, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from hw.axi.axi import ADDRESS_BITS, AxiLite
from hw.instruction import ERROR
from isa.config import AcceleratorConfig
from isa.errors import Error
from isa.instruction import SAMPLES, TOKEN_BITS
from isa.registers import (  # fmt: skip
    ADDRESS,
    COUNTER_BASE,
    COUNTERS,
    IDENTIFICATION,
    LENGTHS,
    REGISTERS,
    VERSION,
    RegisterAccess,
    Status,
)
from isa.registers import (
    Control as ControlBit,
)

OKAY, SLVERR = 0, 2

#: What one run works on, held while busy.
SETTINGS = data.StructLayout({
    "image_base": ADDRESS_BITS,
    "input_base": ADDRESS_BITS,
    "output_base": ADDRESS_BITS,
    "program_offset": 32,
    "program_length": 32,
    "lengths": data.ArrayLayout(TOKEN_BITS, SAMPLES),
    "watchdog": 32,
})  # fmt: skip

#: Why a run failed.
FAILURE = data.StructLayout({"valid": 1, "code": range(max(Error) + 1), "instruction": 16})

# Bits kept of registers that are narrower than 32.
_WIDTHS = dict.fromkeys(LENGTHS, TOKEN_BITS)
_WIDTHS |= {"image_base_high": 8, "input_base_high": 8, "output_base_high": 8, "interrupt_enable": 1}


def event_layout(row_lanes):
    """What the counters add in one cycle, by name; all but ``cycles``, which `Control` counts itself."""
    widths = {name: 1 for name, _ in COUNTERS if name != "cycles"}
    return data.StructLayout(widths | {"instructions": 2, "saturations": range(2 * row_lanes + 1)})


class Control(wiring.Component):
    """Starts a run, tells how it went, counts what happened.

    Parameters
    ----------
    config : AcceleratorConfig
        For the registers that describe it, and the number of row lanes.

    Members
    -------
    axi : In(AxiLite)
        SLVERR for an address without a register. Byte strobes are obeyed.
    o_start : Out
        Pulse; the run is `i_busy` from the next cycle on.
    o_settings : Out(SETTINGS)
    o_stop : Out(ERROR)
        Until the run has ended: it is to, with that error. The host wants it, or it took as long as it may.
    o_interrupt : Out
        High until acknowledged.
    i_busy : In
        A run is going on.
    i_done, i_failure : In(1), In(FAILURE)
        Pulse at its end, in the last cycle of `i_busy`: one of the two. A run that ends without is `Error.LOST`.
    i_failure_port : In
        With `i_failure`: 1 + the memory port that has to do with it, or 0.
    i_events : In(`event_layout`)
        Counted while busy.
    """

    def __init__(self, config: AcceleratorConfig):
        self.config = config
        super().__init__({
            "axi": In(AxiLite()),
            "o_start": Out(1),
            "o_settings": Out(SETTINGS),
            "o_stop": Out(ERROR),
            "o_interrupt": Out(1),
            "i_busy": In(1),
            "i_done": In(1),
            "i_failure": In(FAILURE),
            "i_failure_port": In(range(config.ports + 1)),
            "i_events": In(event_layout(config.row_lanes)),
        })

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        values = self._constants()
        stored = {
            register.name: Signal(_WIDTHS.get(register.name, 32), name=register.name)
            for register in REGISTERS
            if register.access is RegisterAccess.WRITE and register.name not in ("control", "interrupt")
        }
        pending = Signal()
        status = Signal(3)
        error_code, error_instruction, error_port = Signal(32), Signal(16), Signal.like(self.i_failure_port)
        values |= stored | {
            "control": 0, "status": status, "interrupt": pending,
            "error_code": error_code, "error_instruction": error_instruction, "error_port": error_port,
        }  # fmt: skip

        for name in ("image_base", "input_base", "output_base"):
            m.d.comb += self.o_settings[name].eq(Cat(stored[f"{name}_low"], stored[f"{name}_high"]))
        for name in ("program_offset", "program_length", "watchdog"):
            m.d.comb += self.o_settings[name].eq(stored[name])
        m.d.comb += [self.o_settings.lengths[sample].eq(stored[name]) for sample, name in enumerate(LENGTHS)]

        # Later statements win: an event that ends a run is not lost to software clearing the one before.
        done, error = Signal(), Signal()
        expected, aborted = Signal(), Signal()  # a run that has not ended; the host wants it to
        write, address, value, strobe = self._write_channel(m)
        m.d.sync += [self.o_start.eq(0), aborted.eq(aborted & self._running())]
        with m.If(write), m.Switch(address):
            for name, register in stored.items():
                with m.Case(ADDRESS[name] >> 2):
                    for byte in range(-(-len(register) // 8)):
                        part = slice(byte * 8, byte * 8 + 8)
                        allowed = strobe[byte] if name == "interrupt_enable" else strobe[byte] & ~self._running()
                        with m.If(allowed):
                            m.d.sync += register[part].eq(value[part])
            with m.Case(ADDRESS["control"] >> 2):
                m.d.sync += self.o_start.eq(value[ControlBit.START] & strobe[0] & ~self._running())
                with m.If(value[ControlBit.ABORT] & strobe[0] & self._running()):
                    m.d.sync += aborted.eq(1)
            with m.Case(ADDRESS["interrupt"] >> 2), m.If(value[0] & strobe[0]):
                m.d.sync += pending.eq(0)
        with m.If(self.o_start):
            m.d.sync += [done.eq(0), error.eq(0), error_code.eq(0), error_instruction.eq(0), error_port.eq(0)]
            m.d.sync += expected.eq(1)
        with m.If(expected & ~self.i_busy):
            m.d.sync += [error.eq(1), pending.eq(1), error_code.eq(Error.LOST), expected.eq(0)]
        with m.If(self.i_done):
            m.d.sync += [done.eq(1), pending.eq(1), expected.eq(0)]
        with m.If(self.i_failure.valid):
            m.d.sync += [
                error.eq(1),
                pending.eq(1),
                error_code.eq(self.i_failure.code),
                error_instruction.eq(self.i_failure.instruction),
                expected.eq(0),
                error_port.eq(self.i_failure_port),
            ]
        m.d.comb += [
            status[Status.BUSY].eq(self._running()),
            status[Status.DONE].eq(done),
            status[Status.ERROR].eq(error),
        ]
        m.d.sync += self.o_interrupt.eq(pending & stored["interrupt_enable"])

        counters = self._counters(m)
        self._stop(m, aborted, counters[0], stored["deadline"])
        self._read_channel(m, values, counters)
        return m

    def _stop(self, m, aborted, cycles, deadline):
        """End the run: the host has ``aborted`` it, or its cycles have reached the deadline."""
        reached = Signal()
        m.d.sync += [
            reached.eq((cycles >= deadline) & (deadline != 0) & self.i_busy),
            self.o_stop.valid.eq(aborted | reached),
            self.o_stop.code.eq(Mux(aborted, Error.ABORTED, Error.DEADLINE)),
        ]

    def _running(self):
        return self.i_busy | self.o_start

    def _constants(self):
        config = self.config

        def logs(*numbers):
            return sum((number.bit_length() - 1) << 8 * place for place, number in enumerate(numbers))

        return {
            "identification": IDENTIFICATION,
            "version": VERSION,
            "shape": logs(config.rows, config.columns, config.depth, config.drain),
            "lanes": logs(config.row_lanes, config.axi_bits, config.ports),
            "configuration": config.checksum,
        }

    def _counters(self, m):
        """The counters, in order. Events are registered first: they come from everywhere."""
        counters = []
        for name, _ in COUNTERS:
            event = self.i_busy if name == "cycles" else self.i_events[name]
            step = Signal(len(event), name=f"step_{name}")
            counter = Signal(32, name=f"counter_{name}")
            m.d.sync += [step.eq(Mux(self.i_busy, event, 0)), counter.eq(counter + step)]
            with m.If(self.o_start):
                m.d.sync += counter.eq(0)
            counters.append(counter)
        return counters

    def _write_channel(self, m):
        """Take address and data in either order; when both are there, write, then answer."""
        axi = self.axi
        have_address, have_data = Signal(), Signal()
        address, value, strobe = Signal(10), Signal(32), Signal(4)
        write, known = Signal(), Signal()
        m.d.comb += [
            axi.awready.eq(~have_address),
            axi.wready.eq(~have_data),
            write.eq(have_address & have_data & ~axi.bvalid),
        ]
        with m.If(~have_address):
            m.d.sync += [have_address.eq(axi.awvalid), address.eq(axi.awaddr >> 2)]
        with m.If(~have_data):
            m.d.sync += [have_data.eq(axi.wvalid), value.eq(axi.wdata), strobe.eq(axi.wstrb)]
        with m.Switch(address), m.Case(*(register.address >> 2 for register in REGISTERS)):
            m.d.comb += known.eq(1)
        with m.If(write):
            m.d.sync += [
                have_address.eq(0),
                have_data.eq(0),
                axi.bvalid.eq(1),
                axi.bresp.eq(Mux(known, OKAY, SLVERR)),
            ]
        with m.Elif(axi.bready):
            m.d.sync += axi.bvalid.eq(0)
        return write, address, value, strobe

    def _read_channel(self, m, values, counters):
        """Two selections, registered, then the choice between them: wide multiplexers, short paths."""
        axi = self.axi
        address = Signal(10)
        selecting, choosing = Signal(), Signal()
        from_values, from_counters = Signal(32), Signal(32)
        known_value, known_counter = Signal(), Signal()
        m.d.comb += axi.arready.eq(~selecting & ~choosing & ~axi.rvalid)
        with m.If(axi.arvalid & axi.arready):
            m.d.sync += [selecting.eq(1), address.eq(axi.araddr >> 2)]
        with m.If(selecting):
            m.d.sync += [selecting.eq(0), choosing.eq(1), known_value.eq(1), known_counter.eq(1)]
            with m.Switch(address):
                for name, value in values.items():
                    with m.Case(ADDRESS[name] >> 2):
                        m.d.sync += from_values.eq(value)
                with m.Default():
                    m.d.sync += [from_values.eq(0), known_value.eq(0)]
            with m.Switch(address):
                for index, counter in enumerate(counters):
                    with m.Case((COUNTER_BASE >> 2) + index):
                        m.d.sync += from_counters.eq(counter)
                with m.Default():
                    m.d.sync += [from_counters.eq(0), known_counter.eq(0)]
        with m.If(choosing):
            m.d.sync += [
                choosing.eq(0),
                axi.rvalid.eq(1),
                axi.rdata.eq(from_values | from_counters),
                axi.rresp.eq(Mux(known_value | known_counter, OKAY, SLVERR)),
            ]
        with m.Elif(axi.rready):
            m.d.sync += axi.rvalid.eq(0)
