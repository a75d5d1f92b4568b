"""The accelerator: all units, connected. Its ports are what a block design sees."""

from typing import Any

from amaranth import Array, ClockDomain, ClockSignal, Module, Mux, ResetInserter, ResetSignal, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from hw.axi.axi import (
    READ_REQUEST,
    WRITE_REQUEST,
    AxiLite,
    AxiRead,
    AxiWrite,
    connect_flat,
    drive_address_channel,
    flat_members,
    read_data_layout,
)
from hw.axi.read_arbiter import ReadArbiter
from hw.axi.read_ports import ReadPorts
from hw.axi.write_port import WritePort
from hw.dma.dma import Dma
from hw.engine.dpu import Plain
from hw.engine.qmm import Qmm
from hw.frontend.control import SETTINGS, Control, event_layout
from hw.frontend.scheduler import Scheduler
from hw.instruction import ERROR, ISSUE
from hw.vector.row_processor import RowProcessor
from hw.vector.row_units import ROW_EVENTS
from isa.config import AcceleratorConfig
from isa.errors import Error
from isa.instruction import Memory, Queue
from isa.resolve import limit_units
from isa.sizes import burst_beats, memory_prefixes


class Core(wiring.Component):
    """What computes; reset as one after an error and between runs, while the bus and the registers live on.

    Members
    -------
    i_settings : In(SETTINGS)
    i_dma, i_qmm, i_row : In(stream of `ISSUE`)
    o_done : Out(3);  o_error : Out(3 x ERROR)
        By `Queue`.
    o_request, i_data
        To and from the AXI reader.
    o_write_request, o_write_data : Out(stream);  i_write_done : In(1)
        To and from the AXI writer.
    o_leftover : Out
        The row buffer holds something.
    o_events : Out
        Strobes for the counters, those of the scheduler and the bus excepted.
    """

    def __init__(self, config: AcceleratorConfig, mapping: type = Plain):
        self.config = config
        self._dma, self._qmm, self._rows = Dma(config), Qmm(config, mapping), RowProcessor(config)
        issue = In(stream.Signature(ISSUE))
        super().__init__({
            "i_settings": In(SETTINGS), "i_dma": issue, "i_qmm": issue, "i_row": issue,
            "o_done": Out(3), "o_error": Out(data.ArrayLayout(ERROR, 3)),
            "o_request": Out(stream.Signature(READ_REQUEST)),
            "i_data": In(stream.Signature(read_data_layout(config.axi_bits))),
            "o_write_request": Out(stream.Signature(WRITE_REQUEST)),
            "o_write_data": Out(stream.Signature(config.axi_bits)), "i_write_done": In(1),
            "o_leftover": Out(1),
            "o_events": Out(event_layout(config.row_lanes)),
        })  # fmt: skip

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        m.submodules.dma, m.submodules.qmm, m.submodules.rows = dma, qmm, rows = self._dma, self._qmm, self._rows

        wiring.connect(m, wiring.flipped(self.i_dma), dma.i)
        wiring.connect(m, wiring.flipped(self.i_qmm), qmm.i)
        wiring.connect(m, wiring.flipped(self.i_row), rows.i)
        wiring.connect(m, dma.o_request, wiring.flipped(self.o_request))
        wiring.connect(m, wiring.flipped(self.i_data), dma.i_data)
        wiring.connect(m, rows.o_left, qmm.i_left_row)
        wiring.connect(m, rows.o_right, qmm.i_right_row)
        m.d.comb += [
            dma.i_settings.eq(self.i_settings),
            rows.i_rows.valid.eq(qmm.o_rows.valid),
            rows.i_rows.payload.eq(qmm.o_rows.payload),
            qmm.o_rows.ready.eq(rows.i_rows.ready),
        ]
        self._connect_loads(m, dma, qmm, rows)
        self._connect_store(m, rows)

        m.d.comb += [
            self.o_done[Queue.DMA].eq(dma.o_done),
            self.o_done[Queue.QMM].eq(qmm.done),
            self.o_done[Queue.ROW].eq(rows.o_done),
            self.o_leftover.eq(~rows.o_empty),
            self.o_error[Queue.DMA].eq(dma.o_error),
            self.o_error[Queue.QMM].eq(qmm.error),
            self.o_error[Queue.ROW].eq(rows.o_error),
            self.o_events.qmm_busy.eq(qmm.busy),
            self.o_events.qmm_wait_drain.eq(qmm.wait_drain),
            self.o_events.drain_busy.eq(qmm.drain_busy),
            self.o_events.drain_stall.eq(qmm.drain_stall),
            self.o_events.dma_busy.eq(dma.o_busy),
            self.o_events.dma_wait_memory.eq(dma.o_wait_memory),
            self.o_events.saturations.eq(rows.o_saturated),
        ]
        for name in ROW_EVENTS.members:
            m.d.comb += self.o_events[name].eq(rows.o_events[name])
        return m

    def _connect_loads(self, m, dma, qmm, rows):
        """The DMA names a memory; that memory takes the write."""
        targets = {
            Memory.LEFT: qmm.i_left_load, Memory.RIGHT: qmm.i_right_load, Memory.CONSTANT: qmm.i_constant,
            Memory.NORM: rows.i_load_norm, Memory.RESIDUAL: rows.i_load_residual,
        }  # fmt: skip
        # What an operand memory holds back it writes before another memory takes anything: so instructions end in order.
        left_waits, right_waits = qmm.left_load_waits, qmm.right_load_waits
        any_waits = left_waits | right_waits
        others_wait = dict.fromkeys(Memory, any_waits) | {Memory.LEFT: right_waits, Memory.RIGHT: left_waits}
        for memory, target in targets.items():
            m.d.comb += target.valid.eq(dma.o.valid & (dma.o.p.memory == memory.value) & ~others_wait[memory])
            for name in target.payload.shape().members:
                m.d.comb += target.payload[name].eq(dma.o.payload[name])
        ready = Array(targets[memory].ready & ~others_wait[memory] for memory in Memory)
        m.d.comb += [
            dma.o.ready.eq(ready[dma.o.p.memory]),
            dma.i_loaded.eq(qmm.loaded),
            dma.i_waits.eq(any_waits),
        ]

    def _connect_store(self, m, rows):
        base = Array([self.i_settings.image_base, self.i_settings.input_base, self.i_settings.output_base])
        request = rows.o_store
        m.d.comb += [
            self.o_write_request.valid.eq(request.valid),
            request.ready.eq(self.o_write_request.ready),
            self.o_write_request.p.address.eq(base[request.p.region] + request.p.offset),
            self.o_write_request.p.beats.eq(request.p.beats),
            rows.i_store_done.eq(self.i_write_done),
        ]
        wiring.connect(m, rows.o_store_data, wiring.flipped(self.o_write_data))


class Top(wiring.Component):
    """The whole accelerator.

    Parameters
    ----------
    config : isa.config.AcceleratorConfig
    mapping : class
        Cells of the array: `hw.engine.dpu.Plain` for any tool, `hw.engine.dpu_ultrascale.Ultrascale` in primitives of
        the chip.

    Members
    -------
    aclk, aresetn : In(1)
        One clock for everything; synchronous reset, low.
    s_axi_control_* : AXI4-Lite slave, registers of `isa.registers`
    m_axi_memory_* : AXI4 master
        With several ports m_axi_memory0_* and so on, see `memory_prefixes`; what is stored leaves through the first.
    irq : Out(1)
        High until acknowledged.
    """

    def __init__(self, config: AcceleratorConfig, mapping: type = Plain):
        self.config, self.mapping = config, mapping
        super().__init__({
            "aclk": In(1), "aresetn": In(1),
            **flat_members("s_axi_control", AxiLite().flip()),
            **{name: member for prefix in memory_prefixes(config.ports) for signature in (AxiRead, AxiWrite)
               for name, member in flat_members(prefix, signature(config.port_bits)).items()},
            "irq": Out(1),
        })  # fmt: skip

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        m.domains.sync = ClockDomain(local=True)
        m.d.comb += [ClockSignal().eq(self.aclk), ResetSignal().eq(~self.aresetn)]

        axi_bits, ports = self.config.axi_bits, self.config.ports
        m.submodules.control = control = Control(self.config)
        m.submodules.scheduler = scheduler = Scheduler(axi_bits, limit_units(self.config), self.config.dma_queue)
        m.submodules.arbiter = arbiter = ResetInserter(scheduler.o_reset)(ReadArbiter(axi_bits, burst_beats(ports)))
        m.submodules.reader = reader = ReadPorts(axi_bits, ports)
        m.submodules.writer = writer = WritePort(axi_bits, ports)
        m.submodules.core = core = ResetInserter(scheduler.o_reset)(Core(self.config, self.mapping))

        connect_flat(m, self, "s_axi_control", control.axi)
        for port, prefix in enumerate(memory_prefixes(ports)):
            connect_flat(m, self, prefix, reader.axi[port])
            if port == 0:
                connect_flat(m, self, prefix, writer.axi)
            else:
                # Tools recognise an AXI master by all of its channels. This one never writes, and takes any answer.
                m.d.comb += drive_address_channel(self, f"{prefix}_aw", self.config.port_bits)
                m.d.comb += getattr(self, f"{prefix}_bready").eq(1)
        wiring.connect(m, scheduler.o_request, arbiter.i_fetch)
        wiring.connect(m, core.o_request, arbiter.i_dma)
        wiring.connect(m, arbiter.o, reader.i)
        wiring.connect(m, reader.o, arbiter.i)
        wiring.connect(m, arbiter.o_fetch, scheduler.i_data)
        wiring.connect(m, arbiter.o_dma, core.i_data)
        wiring.connect(m, core.o_write_request, writer.i_request)
        wiring.connect(m, core.o_write_data, writer.i_data)
        wiring.connect(m, scheduler.o_dma, core.i_dma)
        wiring.connect(m, scheduler.o_qmm, core.i_qmm)
        wiring.connect(m, scheduler.o_row, core.i_row)

        # What the native harness watches: instructions issued to, and completed by, each queue.
        trace_issue = Signal(3)
        trace_done = Signal(3)
        m.d.sync += [
            trace_issue.eq(scheduler.o_started),
            trace_done.eq(scheduler.o_completed),
        ]
        m.d.comb += [
            scheduler.i_start.eq(control.o_start),
            scheduler.i_settings.eq(control.o_settings),
            scheduler.i_done.eq(core.o_done),
            scheduler.i_error.eq(core.o_error),
            scheduler.i_write_error.eq(writer.error),
            scheduler.i_stop.eq(control.o_stop),
            scheduler.i_leftover.eq(core.o_leftover),
            scheduler.i_progress.eq(reader.moves | writer.moves | trace_issue.any()),
            scheduler.i_idle.eq(reader.idle & writer.idle),
            reader.discard.eq(scheduler.o_discard),
            writer.discard.eq(scheduler.o_discard),
            core.i_settings.eq(control.o_settings),
            core.i_write_done.eq(writer.o_done),
            control.i_busy.eq(scheduler.o_busy),
            control.i_done.eq(scheduler.o_done),
            control.i_failure.eq(scheduler.o_failure),
            reader.forget.eq(control.o_start),
            self.irq.eq(control.o_interrupt),
        ]
        # Whom the run waits for, until it is given up.
        owing = Signal(range(ports + 1))
        with m.If(~scheduler.o_discard):
            m.d.sync += owing.eq(Mux(reader.o_owing.any(), reader.o_owing, ~writer.idle))
        with m.Switch(scheduler.o_failure.code):
            with m.Case(Error.AXI_READ):
                m.d.comb += control.i_failure_port.eq(reader.o_bad)
            with m.Case(Error.AXI_WRITE):
                m.d.comb += control.i_failure_port.eq(1)
            with m.Case(Error.WATCHDOG):
                m.d.comb += control.i_failure_port.eq(owing)

        events = control.i_events
        m.d.comb += [
            events.eq(core.o_events),
            events.read_beats.eq(reader.beat),
            events.write_beats.eq(writer.beat),
        ]
        for name in ("instructions", "qmm_wait_semaphore", "dma_wait_semaphore", "row_wait_semaphore", "qmm_idle"):
            m.d.comb += events[name].eq(scheduler.o_events[name])
        return m
