"""DMA: fills the on-chip memories from external memory."""

from typing import Any

from amaranth import Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.fifo import SyncFIFOBuffered
from amaranth.lib.wiring import In, Out

from hw.axi.axi import READ_REQUEST, Tag, read_data_layout
from hw.dma.placer import DmaPlacer, dma_write_layout
from hw.dma.requests import PLACEMENT, DmaRequests
from hw.frontend.control import SETTINGS
from hw.instruction import ERROR, ISSUE
from isa.config import AcceleratorConfig
from isa.instruction import Queue
from isa.sizes import LOADS_AHEAD, STARTED


class Dma(wiring.Component):
    """Executes LOAD and GATHER. Reads are issued while the data of those before is awaited; it follows without a gap.

    Parameters
    ----------
    config : AcceleratorConfig

    Members
    -------
    i : In(stream of `ISSUE`)
    i_settings : In(SETTINGS)
    o_request : Out(stream of `READ_REQUEST`);  i_data : In(stream of `read_data_layout`)
        To and from the reader; beats with tag FETCH pass.
    o : Out(stream of `dma_write_layout`)
    i_loaded, i_waits : In
        See `DmaPlacer`.
    o_done : Out
        Pulse after an instruction's last write.
    o_error : Out(ERROR)
        Held until reset. May come in the cycle of the last `o_done` before it.
    o_busy, o_wait_memory : Out
        For the counters.
    """

    def __init__(self, config: AcceleratorConfig):
        self.config = config
        super().__init__({
            "i": In(stream.Signature(ISSUE)),
            "i_settings": In(SETTINGS),
            "o_request": Out(stream.Signature(READ_REQUEST)),
            "i_data": In(stream.Signature(read_data_layout(config.axi_bits))),
            "o": Out(stream.Signature(dma_write_layout(config))),
            "i_loaded": In(1),
            "i_waits": In(1),
            "o_done": Out(1),
            "o_error": Out(ERROR),
            "o_busy": Out(1),
            "o_wait_memory": Out(1),
        })

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        m.submodules.requests = requests = DmaRequests(self.config.axi_bits, self.config.depth)
        m.submodules.placer = placer = DmaPlacer(self.config)
        wiring.connect(m, wiring.flipped(self.i), requests.i)
        wiring.connect(m, requests.o_request, wiring.flipped(self.o_request))
        m.submodules.ahead = ahead = SyncFIFOBuffered(width=PLACEMENT.size, depth=LOADS_AHEAD)
        wiring.connect(m, placer.o, wiring.flipped(self.o))

        index, mine = Signal(), Signal()
        m.d.comb += [
            ahead.w_data.eq(requests.o_placement.payload.as_value()),
            ahead.w_en.eq(requests.o_placement.valid),
            requests.o_placement.ready.eq(ahead.w_rdy),
            placer.i_placement.payload.eq(ahead.r_data),
            placer.i_placement.valid.eq(ahead.r_rdy),
            ahead.r_en.eq(placer.i_placement.ready),
            index.eq(self.i_data.p.tag == Tag.INDEX),
            mine.eq((self.i_data.p.tag == Tag.LOAD) | (self.i_data.p.tag == Tag.ROW)),
            requests.i_settings.eq(self.i_settings),
            requests.i_index.valid.eq(self.i_data.valid & index),
            requests.i_index.p.data.eq(self.i_data.p.data),
            requests.i_index.p.error.eq(self.i_data.p.error),
            placer.i.valid.eq(self.i_data.valid),
            placer.i.payload.eq(self.i_data.payload),
            self.i_data.ready.eq(~mine | placer.i.ready),
            placer.i_loaded.eq(self.i_loaded),
            placer.i_waits.eq(self.i_waits),
            self.o_done.eq(placer.o_done),
        ]

        # The first half is ahead: its error waits until the instructions before are complete.
        pending, arrived = Signal(range(STARTED[Queue.DMA] + 1)), Signal()
        m.d.sync += [arrived.eq(self.i.valid & self.i.ready), pending.eq(pending + arrived - self.o_done)]
        m.d.comb += [
            self.o_error.valid.eq(placer.error.valid | (requests.error.valid & (pending == 1))),
            self.o_error.code.eq(Mux(placer.error.valid, placer.error.code, requests.error.code)),
            self.o_busy.eq(pending != 0),
            self.o_wait_memory.eq(self.o_busy & ~self.o.valid & ~(self.i_data.valid & (index | mine))),
        ]
        return m
