"""External memory as simulation, benches and cycle model have it: its times in clock cycles, and those of boards.

A read burst that a port takes in cycle t is answered from cycle t + `latency` on, a port beat a cycle and port by port, if
nothing is in its way. In its way are the bursts before it at the same port, and, of all ports together, those that the
memory behind them has taken and not done with: it gives each burst its time (`MemoryQueue`), and none while it refreshes.
`sim/memory_queue.h` is `MemoryQueue` in C++, and a test holds them together.
"""

from dataclasses import dataclass, replace
from typing import NamedTuple

from formats.errors import UsageError
from isa.config import AcceleratorConfig

FULL_BANDWIDTH = 256
MOST_LATENCY = (1 << 32) - 1  # 32 bits in the harness
#: Parts of a cycle in which the time of a burst is counted.
TICKS = 256


@dataclass(frozen=True)
class MemoryTiming:
    """Times of external memory, in clock cycles of the accelerator. Raises UsageError for one that cannot be simulated.

    Parameters
    ----------
    latency : int
        From a read's address to its first beat, and from a write's last beat to its answer.
    bandwidth : int
        Port beats per 256 cycles, of each port.
    outstanding : int
        Read bursts that a port takes before the first has been answered.
    ceiling : int
        Bytes per 256 cycles over all ports, between refreshes; 0 is no ceiling.
    burst : int
        256ths of a cycle that a burst takes at the least, however short; of a memory with a ceiling.
    refresh_every, refresh : int
        Of so many cycles the first are a refresh, in which no burst is begun; of a memory with a ceiling.
    """

    latency: int = 40
    bandwidth: int = FULL_BANDWIDTH
    outstanding: int = 16
    ceiling: int = 0
    burst: int = 0
    refresh_every: int = 0
    refresh: int = 0

    def __post_init__(self) -> None:
        self._require("latency", 1, MOST_LATENCY, "cycles")
        self._require("bandwidth", 1, FULL_BANDWIDTH, "beats per 256 cycles")
        self._require("outstanding", 1, 256, "bursts")
        self._require("ceiling", 0, 1 << 20, "bytes per 256 cycles")
        self._require("burst", 0, 1 << 20, "256ths of a cycle")
        self._require("refresh_every", 0, 1 << 24, "cycles")
        self._require("refresh", 0, max(0, self.refresh_every - 1), "cycles")

    def _require(self, name, least, most, unit):
        value = getattr(self, name)
        if not least <= value <= most:
            raise UsageError(f"the memory's {name.replace('_', ' ')} must be in {least}..{most} {unit}, not {value}")

    def bytes_per_cycle(self, axi_bits: int) -> float:
        """At most, on an accelerator that takes ``axi_bits`` a cycle: what its ports give, and what is behind them."""
        ports = axi_bits / 8 * self.bandwidth / FULL_BANDWIDTH
        if not self.ceiling:
            return ports
        share = 1 - self.refresh / self.refresh_every if self.refresh_every else 1
        return min(ports, self.ceiling / 256 * share)


#: Nothing but a latency.
PLAIN = MemoryTiming()


class MemoryQueue:
    """The memory behind all ports: gives each burst its time."""

    def __init__(self, timing: MemoryTiming):
        self._timing = timing
        self._free = 0  # ticks

    def begin(self, cycle: int, size: int) -> int:
        """The cycle in which a burst of ``size`` bytes begins that a port takes in ``cycle``; in the order of the cycles."""
        timing = self._timing
        if not timing.ceiling:
            return cycle
        start = max(cycle * TICKS, self._free)
        if timing.refresh:
            within = start % (timing.refresh_every * TICKS)
            start += max(0, timing.refresh * TICKS - within)
        self._free = start + max(timing.burst, -(-size * 256 * TICKS // timing.ceiling))
        return -(-start // TICKS)


class Ddr(NamedTuple):
    """A memory of DRAM chips: ``transfers`` a second of ``bits``, of which ``sustained`` is reached in the long run,
    refreshes included; all chips refresh for ``refresh_ns`` every ``refresh_every_ns``; rows can be opened ``activate_ns``
    after each other, in the long run."""

    name: str
    transfers: float
    bits: int
    sustained: float
    refresh_every_ns: float
    refresh_ns: float
    activate_ns: float

    @property
    def peak(self) -> float:
        """Bytes a second."""
        return self.transfers * self.bits / 8


@dataclass(frozen=True)
class BoardMemory:
    """What a board's programmable logic has of memory.

    Parameters
    ----------
    ports, port_bits : int
        AXI slaves for the accelerator to be connected to, and the widest each can be.
    outstanding : int
        Read bursts that one of them takes ahead.
    latency_ns : float
        Of a read through one, when nothing else is going on.
    ddr : Ddr or None
        Behind them all; None where it is not known, and then nothing but the ports is in the way.
    """

    ports: int
    port_bits: int
    outstanding: int
    latency_ns: float
    ddr: Ddr | None = None

    def check(self, board: str, config: AcceleratorConfig) -> None:
        """Raise UsageError for an accelerator that has more ports than ``board``, or wider ones."""
        if config.ports > self.ports:
            raise UsageError(
                f"{board} has {self.ports} memory port{'s' * (self.ports != 1)}, not the {config.ports} of this "
                f"accelerator; use --set ports={self.ports} with as many times {self.port_bits} axi_bits, or another preset"
            )
        if config.port_bits > self.port_bits:
            raise UsageError(
                f"a memory port of {board} has at most {self.port_bits} bits, not the {config.port_bits} of this "
                f"accelerator; use --set ports={min(self.ports, config.axi_bits // self.port_bits)}, or a smaller axi_bits"
            )

    def timing(self, mhz: float) -> MemoryTiming:
        """Its times for an accelerator with a clock of ``mhz``, whole cycles of it."""
        per_ns, ddr = mhz / 1e3, self.ddr
        ports = MemoryTiming(latency=max(1, round(self.latency_ns * per_ns)), outstanding=self.outstanding)
        if ddr is None:
            return ports
        between_refreshes = ddr.peak * ddr.sustained / (1 - ddr.refresh_ns / ddr.refresh_every_ns)
        return replace(
            ports, ceiling=round(between_refreshes / (mhz * 1e6) * 256), burst=round(ddr.activate_ns * per_ns * TICKS),
            refresh_every=round(ddr.refresh_every_ns * per_ns), refresh=round(ddr.refresh_ns * per_ns),
        )  # fmt: skip


#: The module in the ZCU102's socket (UG1182): 64 bits of x16 chips of 8 Gbit, at the 2133 MT/s of the board's preset.
#: JESD79-4: tREFI 7.8 us up to 85 C; tRFC1 350 ns at 8 Gbit; tFAW of x16 chips 30 ns for four rows at 2133. What is
#: reached of the 17.1 GB/s: 75 % measured over the HP ports of this board, K. Manev, A. Vaishnav, D. Koch, "Unexpected
#: Diversity: Quantitative Memory Analysis for Zynq UltraScale+ Systems", FPT 2019.
DDR4_2133_X64 = Ddr("DDR4-2133 x 64", 2133.33e6, 64, 0.75, 7800, 350, 30 / 4)

#: S_AXI_HP0_FPD to S_AXI_HP3_FPD of a Zynq UltraScale+, each 128 bits: UG1085, whose section on their FIFO interface gives
#: command queues of 8 and data FIFOs of 128 beats, 8 bursts of the 16 that AXI3 inside allows. No document gives a latency;
#: 200 ns is an assumption, 40 cycles at 200 MHz.
ZYNQ_ULTRASCALE = BoardMemory(ports=4, port_bits=128, outstanding=8, latency_ns=200)

#: By board.
BOARD_MEMORIES = {"zcu102": replace(ZYNQ_ULTRASCALE, ddr=DDR4_2133_X64)}


PLAIN_NAME = "plain"


class NamedTiming(NamedTuple):
    """Times, and in words what has them."""

    name: str
    timing: MemoryTiming


PLAIN_MEMORY = NamedTiming(PLAIN_NAME, PLAIN)


def named_timing(name: str, mhz: float, config: AcceleratorConfig, **changes: int) -> NamedTiming:
    """Memory ``name``, one of `BOARD_MEMORIES` or `PLAIN_NAME`, as an accelerator of ``config`` at ``mhz`` sees it.

    ``changes`` are parameters of `MemoryTiming` to have instead. Raises UsageError for a name that is none, and for an
    accelerator with more or wider ports than the board has.
    """
    if name == PLAIN_NAME:
        return NamedTiming(name, MemoryTiming(**changes))
    if name not in BOARD_MEMORIES:
        raise UsageError(f"there is no memory {name!r}; choose one of {PLAIN_NAME}, {', '.join(BOARD_MEMORIES)}")
    memory = BOARD_MEMORIES[name]
    memory.check(name, config)
    behind = f", {memory.ddr.name}" if memory.ddr else ""
    return NamedTiming(f"{name}{behind} at {mhz:g} MHz", replace(memory.timing(mhz), **changes))


def described(config: AcceleratorConfig, timing: MemoryTiming) -> str:
    """The way to memory in words, as it stands beside every rate: ports, their width, and bytes a cycle."""
    ports = "1 port" if config.ports == 1 else f"{config.ports} ports"
    return f"{ports} of {config.port_bits} bits, {timing.bytes_per_cycle(config.axi_bits):.4g} bytes a cycle"
