"""The design for a ULX3S with an ECP5-85F: accelerator, memory on the chip, serial link, lights. What is routed."""

from typing import Any

from amaranth import Cat, ClockDomain, ClockSignal, DomainRenamer, Instance, Module, Mux, ResetSignal, Signal
from amaranth.lib import wiring
from amaranth.lib.cdc import FFSynchronizer, ResetSynchronizer
from amaranth.lib.wiring import In, Out

from boards.ulx3s.record import BOARD
from formats.errors import UsageError
from hw.axi.axi import AxiLite, AxiRead, AxiWrite
from hw.lib.block_memory import BlockMemory
from hw.lib.skid import Skid
from hw.serial.link import SerialBridge
from hw.serial.slip import OUTGOING, SlipDecoder, SlipEncoder
from hw.serial.uart import UartReceiver, UartTransmitter
from hw.top import Top
from isa.config import AcceleratorConfig
from isa.presets import preset
from isa.registers import ADDRESS

OSCILLATOR_HZ, CLOCK_HZ = round(BOARD.oscillator_mhz * 1e6), round(BOARD.clock_mhz * 1e6)
#: Of the PLL's own oscillator.
_VCO_HZ = (400_000_000, 800_000_000)
_MOST_DIVIDER = 128


def pll_dividers(clock_hz: int) -> tuple[int, int, int]:
    """Dividers (input, feedback, output) of the PLL that make ``clock_hz`` of `OSCILLATOR_HZ`.

    Raises
    ------
    UsageError
        If there are none: names the nearest frequencies that have some.
    """
    best = {}
    for divider in range(1, 6):  # the phase detector wants 5 MHz or more, here 5 to 25
        for feedback in range(1, _MOST_DIVIDER + 1):
            made = OSCILLATOR_HZ * feedback / divider
            outputs = [n for n in range(1, _MOST_DIVIDER + 1) if _VCO_HZ[0] <= made * n <= _VCO_HZ[1]]
            if outputs:
                best.setdefault(made, (divider, feedback, outputs[len(outputs) // 2]))
    if clock_hz not in best:
        near = sorted(best, key=lambda made: abs(made - clock_hz))[:3]
        raise UsageError(
            f"the PLL cannot make {clock_hz / 1e6:g} MHz of {OSCILLATOR_HZ / 1e6:g} MHz; "
            f"the nearest it can are {', '.join(f'{made / 1e6:g}' for made in near)} MHz"
        )
    return best[clock_hz]


class Ulx3s(wiring.Component):
    """Everything on the chip; its ports are pins.

    Parameters
    ----------
    clock_hz : int

    baud : int
    config : isa.config.AcceleratorConfig
        That of the preset unless given.
    memory_bytes : int

    Members
    -------
    clk25 : In(1)
    uart_rx, uart_tx : In(1), Out(1)
        As the chip sees them.
    button : In(1)
        High while pressed: reset.
    led : Out(8)
        0 out of reset; 1, 2, 3 busy, done, error as the host last read them from the status register; 4 an unacknowledged
        interrupt; 5 a request came, 6 a damaged frame came, both for an eighth of a second; 7 blinks with the clock.
    """

    def __init__(
        self,
        clock_hz: int = CLOCK_HZ,
        baud: int = BOARD.baud,
        config: AcceleratorConfig | None = None,
        memory_bytes: int = BOARD.memory_bytes,
    ):
        self.clock_hz, self.memory_bytes = clock_hz, memory_bytes
        self.config = config or preset(BOARD.preset)
        if self.config.ports != 1:
            raise UsageError(f"the memory of the {BOARD.title} has 1 port, not {self.config.ports}; leave out --set ports")
        self.dividers = pll_dividers(clock_hz)
        if baud < 1:
            raise UsageError(f"--baud must be at least 1, not {baud}")
        #: Cycles of a bit on the serial line.
        self.divisor = round(clock_hz / baud)
        error = abs(self.divisor * baud / clock_hz - 1)
        if self.divisor < 1 or error > 0.02:
            raise UsageError(
                f"{baud} baud is {error:.1%} off what {clock_hz / 1e6:g} MHz can be divided to, more than 2 %; "
                "choose a baud rate that divides the clock"
            )
        super().__init__({
            "clk25": In(1), "uart_rx": In(1), "uart_tx": Out(1), "button": In(1), "led": Out(8),
        })  # fmt: skip

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        self._clock(m)
        in_core = DomainRenamer("core")  # `Top` has a sync of its own
        m.submodules.accelerator = accelerator = Top(self.config)
        memory = BlockMemory(self.memory_bytes, self.config.axi_bits)
        m.submodules.memory = in_core(memory)
        receiver = UartReceiver(self.divisor)
        m.submodules.receiver = in_core(receiver)
        decoder = SlipDecoder()
        m.submodules.decoder = in_core(decoder)
        link = SerialBridge(self.memory_bytes)
        m.submodules.link = in_core(link)
        encoder = SlipEncoder()
        m.submodules.encoder = in_core(encoder)
        transmitter = UartTransmitter(self.divisor)
        m.submodules.transmitter = in_core(transmitter)
        outgoing, coded = Skid(OUTGOING), Skid(8)  # short ways between the three that make an answer
        m.submodules.outgoing, m.submodules.coded = in_core(outgoing), in_core(coded)
        m.d.comb += [
            receiver.i.eq(self.uart_rx),
            self.uart_tx.eq(transmitter.o),
            accelerator.aclk.eq(ClockSignal("core")),
            accelerator.aresetn.eq(~ResetSignal("core")),
            link.i_memory_valid.eq(memory.o_host_valid),
            link.i_memory_data.eq(memory.o_host_data),
        ]
        wiring.connect(m, receiver.o, decoder.i)
        wiring.connect(m, decoder.o, link.i)
        wiring.connect(m, link.o, outgoing.i)
        wiring.connect(m, outgoing.o, encoder.i)
        wiring.connect(m, encoder.o, coded.i)
        wiring.connect(m, coded.o, transmitter.i)
        wiring.connect(m, link.memory, memory.host)
        _connect(m, accelerator, "m_axi_memory", AxiRead(self.config.axi_bits), memory.axi_read)
        _connect(m, accelerator, "m_axi_memory", AxiWrite(self.config.axi_bits), memory.axi_write)
        _connect(m, accelerator, "s_axi_control", AxiLite().flip(), link.axi)
        self._lights(m, accelerator, link)
        return m

    def _clock(self, m):
        divider, feedback, output = self.dividers
        fast, locked, pressed = Signal(), Signal(), Signal()
        m.submodules.pll = Instance(
            "EHXPLLL",
            p_CLKI_DIV=divider, p_CLKFB_DIV=feedback, p_CLKOP_DIV=output, p_CLKOP_ENABLE="ENABLED",
            p_FEEDBK_PATH="CLKOP", p_CLKOP_CPHASE=output - 1, p_CLKOP_FPHASE=0,
            i_CLKI=self.clk25, i_CLKFB=fast, i_RST=0, i_STDBY=0, i_ENCLKOP=0,
            i_PHASESEL0=0, i_PHASESEL1=0, i_PHASEDIR=0, i_PHASESTEP=0, i_PHASELOADREG=0, i_PLLWAKESYNC=0,
            o_CLKOP=fast, o_LOCK=locked,
        )  # fmt: skip
        m.domains.core = ClockDomain(local=True)
        m.d.comb += ClockSignal("core").eq(fast)
        # The blocks' write ports must be still while the clock starts: reset lasts until well after the lock.
        m.domains.start = ClockDomain(local=True)
        m.d.comb += ClockSignal("start").eq(fast)
        m.submodules.locked = ResetSynchronizer(~locked, domain="start")
        m.submodules.pressed = FFSynchronizer(self.button, pressed, o_domain="start")
        count = Signal(5)
        with m.If(pressed):
            m.d.start += count.eq(0)
        with m.Elif(~count.all()):
            m.d.start += count.eq(count + 1)
        reset = Signal(init=1)
        m.d.start += reset.eq(~count.all())
        m.d.comb += ResetSignal("core").eq(reset)

    def _lights(self, m, accelerator, link):
        moment = self.clock_hz // 8
        heartbeat = Signal(range(self.clock_hz))
        beat = Signal()
        with m.If(heartbeat == 0):
            m.d.core += [heartbeat.eq(self.clock_hz // 2 - 1), beat.eq(~beat)]
        with m.Else():
            m.d.core += heartbeat.eq(heartbeat - 1)

        shown = []
        for name, event in (("request", link.o_accepted), ("damage", link.o_rejected)):
            left = Signal(range(moment + 1), name=f"left_{name}")
            on = Signal(name=f"show_{name}")
            m.d.core += [left.eq(Mux(event, moment, Mux(on, left - 1, left))), on.eq(event | (on & (left > 1)))]
            shown.append(on)

        axi = link.axi
        asked, status = Signal(), Signal(3)
        with m.If(axi.arvalid & axi.arready):
            m.d.core += asked.eq(axi.araddr == ADDRESS["status"])
        with m.If(axi.rvalid & axi.rready & asked):
            m.d.core += status.eq(axi.rdata)
        m.d.core += self.led.eq(Cat(~ResetSignal("core"), status, accelerator.irq, *shown, beat))


def _connect(m, component, prefix, signature, interface):
    """The flat ports ``prefix_name`` of ``component``, of ``signature`` as it sees them, with ``interface``."""
    for name, member in signature.members.items():
        port, inner = getattr(component, f"{prefix}_{name}"), getattr(interface, name)
        m.d.comb += inner.eq(port) if member.flow is Out else port.eq(inner)
