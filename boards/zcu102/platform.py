"""ZCU102 as an Amaranth platform, and a design for its programmable logic alone that shows that clock and pins work."""

from typing import Any

from amaranth import Cat, Elaboratable, Module, Mux, Signal
from amaranth.build import Attrs, Clock, DiffPairs, Pins, Resource
from amaranth.lib import io, wiring
from amaranth.lib.cdc import FFSynchronizer
from amaranth.lib.wiring import In, Out
from amaranth.vendor import XilinxPlatform
from amaranth_boards.resources import ButtonResources, LEDResources, SwitchResources, UARTResource

LVCMOS33 = Attrs(IOSTANDARD="LVCMOS33")
#: The five buttons around the centre, in the order of the platform's numbers.
BUTTONS = ("north", "east", "south", "west", "centre")
#: LED steps a second.
STEPS = 8


class ZCU102Platform(XilinxPlatform):
    """The pins of the programmable logic, of UG1182; what hangs on the processing system is reached through a block design.

    ``button`` 0..4 are north, east, south, west and centre (SW18, SW17, SW16, SW14, SW15); ``button_reset`` is the one
    called CPU_RESET (SW20). ``switch`` 0..7 are SW13. ``uart`` is the one of four of the USB bridge that ends at the logic.
    """

    device, package, speed = "xczu9eg", "ffvb1156", "2-e"
    default_clk = "clk125"
    resources = [
        Resource("clk125", 0, DiffPairs("G21", "F21", dir="i"), Clock(125e6), Attrs(IOSTANDARD="LVDS_25")),
        *LEDResources(pins="AG14 AF13 AE13 AJ14 AJ15 AH13 AH14 AL12", attrs=LVCMOS33),
        *ButtonResources(pins="AG15 AE14 AE15 AF15 AG13", attrs=LVCMOS33),
        Resource("button_reset", 0, Pins("AM13", dir="i"), LVCMOS33),
        *SwitchResources(pins="AN14 AP14 AM14 AN13 AN12 AP12 AL13 AK13", attrs=LVCMOS33),
        UARTResource(0, rx="E13", tx="F13", attrs=LVCMOS33),
    ]
    connectors = []


class Lights(wiring.Component):
    """LEDs count `STEPS` a second; all that is pressed or switched can be seen on them.

    Parameters
    ----------
    frequency : int
        Of the clock, Hz.

    Members
    -------
    buttons : In(5)
        In the order of `BUTTONS`: north counts up (as it does from the start), south down, west halves the speed, east
        restores it, and the centre holds the count while it is pressed.
    reset : In(1)
        The count is 0 while it is pressed.
    switches : In(8)
        Each inverts its LED.
    leds : Out(8)
    """

    def __init__(self, frequency: float):
        self.period = int(frequency) // STEPS
        if self.period < 2:
            raise ValueError(f"frequency must be at least {2 * STEPS} Hz, not {frequency}")
        super().__init__({"buttons": In(5), "reset": In(1), "switches": In(8), "leds": Out(8)})

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        north, east, south, west, centre = self.buttons
        down, slow = Signal(), Signal()
        for on, off, state in ((south, north, down), (west, east, slow)):
            with m.If(on | off):
                m.d.sync += state.eq(on)
        timer, count = Signal(range(2 * self.period)), Signal(8)
        with m.If(timer == 0):
            m.d.sync += timer.eq(Mux(slow, 2 * self.period - 1, self.period - 1))
        with m.Else():
            m.d.sync += timer.eq(timer - 1)
        with m.If(self.reset):
            m.d.sync += count.eq(0)
        with m.Elif((timer == 0) & ~centre):
            m.d.sync += count.eq(Mux(down, count - 1, count + 1))
        m.d.comb += self.leds.eq(count ^ self.switches)
        return m


class Smoke(Elaboratable):
    """`Lights` at the board's pins; the UART sends back what it receives."""

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        m.submodules.lights = lights = Lights(platform.default_clk_frequency)
        uart = platform.request("uart", 0, dir="-")
        ports = {
            "buttons": [platform.request("button", n, dir="-") for n in range(len(BUTTONS))],
            "reset": [platform.request("button_reset", 0, dir="-")],
            "switches": [platform.request("switch", n, dir="-") for n in range(8)],
            "receive": [uart.rx],
        }
        inputs = {
            name: [self._buffer(m, f"{name}_{n}", port, "i").i for n, port in enumerate(ports[name])] for name in ports
        }
        lights_out = [self._buffer(m, f"led_{n}", platform.request("led", n, dir="-"), "o").o for n in range(8)]
        transmit = self._buffer(m, "transmit", uart.tx, "o")
        inside = {"buttons": lights.buttons, "reset": lights.reset, "switches": lights.switches, "receive": transmit.o}
        # None of them knows the clock; the platform gives the first flip-flops a false path.
        for name, pins in inputs.items():
            m.submodules[f"{name}_synchronizer"] = FFSynchronizer(Cat(pins), inside[name], init=int(name == "receive"))
        m.d.comb += Cat(lights_out).eq(lights.leds)
        return m

    @staticmethod
    def _buffer(m, name, port, direction):
        m.submodules[f"{name}_buffer"] = buffer = io.Buffer(direction, port)
        return buffer
