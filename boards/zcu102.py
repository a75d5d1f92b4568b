"""ZCU102 as an Amaranth platform, and a design for its programmable logic alone that shows that clock and pins work."""

from amaranth import Cat, Elaboratable, Module, Signal
from amaranth.build import Attrs, Clock, DiffPairs, Resource
from amaranth.vendor import XilinxPlatform
from amaranth_boards.resources import ButtonResources, LEDResources, UARTResource

LVCMOS33 = Attrs(IOSTANDARD="LVCMOS33")


class ZCU102Platform(XilinxPlatform):
    """The pins of the programmable logic; what hangs on the processing system is reached through a block design."""

    device, package, speed = "xczu9eg", "ffvb1156", "2-e"
    default_clk = "clk125"
    resources = [
        Resource("clk125", 0, DiffPairs("G21", "F21", dir="i"), Clock(125e6), Attrs(IOSTANDARD="LVDS_25")),
        *LEDResources(pins="AG14 AF13 AE13 AJ14 AJ15 AH13 AH14 AL12", attrs=LVCMOS33),
        *ButtonResources(pins="AM13", attrs=LVCMOS33),  # the CPU reset button
        UARTResource(0, rx="E13", tx="F13", attrs=LVCMOS33),
    ]
    connectors = []


class Smoke(Elaboratable):
    """LEDs count, eight steps a second; the button holds them; the UART sends back what it receives."""

    def elaborate(self, platform):
        m = Module()
        leds = Cat(platform.request("led", index).o for index in range(8))
        button, uart = platform.request("button", 0), platform.request("uart", 0)
        period = int(platform.default_clk_frequency) // 8
        timer, count = Signal(range(period)), Signal(8)
        m.d.comb += [leds.eq(count), uart.tx.o.eq(uart.rx.i)]
        with m.If(timer == period - 1):
            m.d.sync += [timer.eq(0), count.eq(count + ~button.i)]
        with m.Else():
            m.d.sync += timer.eq(timer + 1)
        return m
