"""Scheduler: runs a program; three queues in parallel, in step by counting what has completed."""

from typing import Any

from amaranth import Cat, Module, Mux, ResetInserter, Signal
from amaranth.lib import data, enum, stream, wiring
from amaranth.lib.wiring import In, Out

from hw.axi.axi import READ_REQUEST, read_data_layout
from hw.frontend.control import FAILURE, SETTINGS
from hw.frontend.fetch import Fetch
from hw.frontend.issue import WAITING, IssueQueue
from hw.frontend.resolve import Resolve
from hw.frontend.watchdog import Watchdog
from hw.instruction import ERROR, ISSUE
from isa.errors import Error
from isa.instruction import Opcode, Queue, opcodes_of, operation
from isa.sizes import STARTED, queue_depths


class State(enum.Enum, shape=3):
    """Of a run. Code 7 is none of them: an upset can give it, and it ends like any error."""

    IDLE = 0
    PREPARE = 1
    BEGIN = 2
    RUN = 3
    DONE = 4
    RECOVER = 5
    FAILED = 6


#: What `Scheduler` reports to the counters of the same names.
SCHEDULER_EVENTS = data.StructLayout({
    "instructions": 2, "qmm_wait_semaphore": 1, "dma_wait_semaphore": 1, "row_wait_semaphore": 1, "qmm_idle": 1,
})  # fmt: skip


def used_bits(queue):
    """Bits of an instruction, from the lowest on, that the unit behind ``queue`` looks at."""
    return max(operation(opcode).bits for opcode in opcodes_of(queue))


class Scheduler(wiring.Component):
    """Fetches, dispatches in program order, issues when the semaphores allow, and ends every run one way or the other.

    Parameters
    ----------
    axi_bits : int
        Width of the reader's beats.
    units : dict of str to int
        See `Resolve`.
    dma_queue : int
        Instructions that wait in the DMA queue; 8 in each of the others.

    Members
    -------
    i_start, i_settings : In(1), In(SETTINGS)
        Pulse; the settings are held while busy.
    o_busy : Out
    o_done, o_failure : Out(1), Out(FAILURE)
        In the last cycle of `o_busy`, one of the two.
    o_request : Out(stream of `READ_REQUEST`);  i_data : In(stream of `read_data_layout`)
        To and from the reader; `i_data` is always taken.
    o_dma, o_qmm, o_row : Out(stream of `ISSUE`)
    i_done : In(3)
        Bit `Queue`: pulse for each instruction that the unit has completed, in order.
    o_started, o_completed : Out(3)
        The same for all instructions, those of which nothing is left included.
    i_error : In(3 x ERROR)
        By `Queue`, about that queue's oldest instruction that has not completed (after a done in the same cycle).
    i_write_error : In
        From the AXI writer; counts as the ROW queue's.
    i_stop : In(ERROR)
        From control: the run is to end, with that error. Without effect when none is going on.
    i_leftover : In
        A buffer between units holds something, which is an error at the end of a program.
    i_progress : In
        A beat moved on the AXI master, or an instruction was issued.
    i_idle : In
        Nothing is under way in reader and writer.
    o_reset, o_discard : Out
        Reset of all units, and `discard` of reader and writer: after an error, and as long as no run is going on, so that
        nothing of one run, or of the time between, reaches the next.
    o_events : Out(SCHEDULER_EVENTS)
    """

    def __init__(self, axi_bits: int, units: dict[str, int], dma_queue: int = 8):
        self.axi_bits, self.units, self.dma_queue = axi_bits, units, dma_queue
        self._depth = queue_depths(dma_queue)
        super().__init__({
            "i_start": In(1),
            "i_settings": In(SETTINGS),
            "o_busy": Out(1),
            "o_done": Out(1),
            "o_failure": Out(FAILURE),
            "o_request": Out(stream.Signature(READ_REQUEST)),
            "i_data": In(stream.Signature(read_data_layout(axi_bits))),
            "o_dma": Out(stream.Signature(ISSUE)),
            "o_qmm": Out(stream.Signature(ISSUE)),
            "o_row": Out(stream.Signature(ISSUE)),
            "i_done": In(3),
            "o_started": Out(3),
            "o_completed": Out(3),
            "i_error": In(data.ArrayLayout(ERROR, 3)),
            "i_write_error": In(1),
            "i_stop": In(ERROR),
            "i_leftover": In(1),
            "i_progress": In(1),
            "i_idle": In(1),
            "o_reset": Out(1),
            "o_discard": Out(1),
            "o_events": Out(SCHEDULER_EVENTS),
        })

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        settings = self.i_settings
        # Taken as they are: an encoding that tools choose would have codes without a way out.
        state, following = Signal(State, attrs={"fsm_encoding": "none"}), Signal(State)
        running, recovering = Signal(), Signal()
        busy = Signal()  # not idle, from a register because it fans out to every counter
        empty = Signal()  # forget everything of the run before
        m.d.comb += [empty.eq(~running), self.o_busy.eq(busy), following.eq(state)]
        m.d.sync += [state.eq(following), busy.eq(following != State.IDLE)]
        m.d.comb += recovering.eq((state == State.RECOVER) | (state == State.IDLE))
        m.d.sync += [self.o_reset.eq(recovering), self.o_discard.eq(recovering)]  # they fan out widely

        m.submodules.fetch = fetch = ResetInserter(empty)(Fetch(self.axi_bits))
        wiring.connect(m, fetch.o_request, wiring.flipped(self.o_request))
        wiring.connect(m, wiring.flipped(self.i_data), fetch.i_data)

        # Everything an instruction can do to the program's flow is decided here.
        ending, missing_halt = Signal(), Signal()
        m.submodules.resolve = resolve = ResetInserter(empty)(Resolve(self.units))
        wiring.connect(m, fetch.o, resolve.i)
        m.d.comb += resolve.i_lengths.eq(settings.lengths)
        queues, dispatch, halts, decode_error = self._dispatch(m, resolve.o, running, empty)
        past_end, next_index = Signal(), Signal(16)
        m.d.comb += next_index.eq(Mux(resolve.o.valid, resolve.o.p.index, fetch.o.p.index))
        m.d.sync += past_end.eq((fetch.o.p.index == settings.program_length[:16]) & ~fetch.o.valid & ~resolve.o.valid)
        with m.If(running & ~ending):
            m.d.sync += [ending.eq(halts | past_end), missing_halt.eq(past_end)]
        m.d.comb += [fetch.i_count.eq(settings.program_length), fetch.i_stop.eq(ending)]

        completed, unfinished, done_count, finished = self._count(m, queues, dispatch, running & ending, fetch.o_idle)
        errors = self._collect_errors(m)
        oldest, oldest_of_all = self._find_oldest(m, queues, next_index)

        m.submodules.watchdog = watchdog = Watchdog()
        m.d.comb += [
            watchdog.i_limit.eq(settings.watchdog),
            watchdog.i_moving.eq(self.i_progress | self.o_completed.any() | self.i_start),
        ]
        failure = Signal(FAILURE)

        def fail(code, index):
            m.d.sync += [failure.code.eq(code), failure.instruction.eq(index), running.eq(0)]
            m.d.comb += following.eq(State.RECOVER)

        cleared = Signal(3)  # cycles since `o_discard`, until the units have let go
        with m.Switch(state):
            with m.Case(State.IDLE):
                m.d.sync += [running.eq(0), fetch.i_start.eq(0), ending.eq(0), missing_halt.eq(0), unfinished.eq(0)]
                m.d.sync += [count.eq(0) for count in completed]
                m.d.sync += fetch.i_address.eq(settings.image_base + settings.program_offset)
                m.d.sync += cleared.eq(0)
                with m.If(self.i_start):
                    m.d.comb += following.eq(State.PREPARE)
            with m.Case(State.PREPARE):
                misplaced = fetch.i_address[: (self.axi_bits // 8).bit_length() - 1].any()
                with m.If(misplaced | settings.program_length[16:].any()):
                    fail(Error.SHAPE, 0)
                with m.Else():
                    m.d.sync += [running.eq(1), fetch.i_start.eq(1)]
                    m.d.comb += following.eq(State.BEGIN)
            with m.Case(State.BEGIN):
                m.d.sync += fetch.i_start.eq(0)
                m.d.comb += following.eq(State.RUN)
            with m.Case(State.RUN):
                with m.If(finished & ~missing_halt):
                    m.d.sync += running.eq(0)
                    m.d.comb += following.eq(State.DONE)
                    with m.If(self.i_leftover):
                        fail(Error.LEFTOVER, next_index)
                with m.If(watchdog.o_expired):
                    fail(Error.WATCHDOG, oldest_of_all)
                with m.If(self.i_stop.valid):
                    fail(self.i_stop.code, oldest_of_all)
                with m.If(finished & missing_halt):
                    fail(Error.NO_HALT, settings.program_length[:16])
                with m.If(decode_error.valid):
                    fail(decode_error.code, resolve.o.p.index)
                for queue in reversed(Queue):
                    with m.If(errors[queue].valid):
                        fail(errors[queue].code, oldest[queue])
            with m.Case(State.DONE):
                m.d.comb += [self.o_done.eq(1), following.eq(State.IDLE)]
            with m.Case(State.RECOVER):
                with m.If(cleared != 7):
                    m.d.sync += cleared.eq(cleared + 1)
                    m.d.comb += watchdog.i_moving.eq(1)
                with m.Elif(self.i_idle | watchdog.o_quiet):
                    m.d.comb += following.eq(State.FAILED)
            with m.Case(State.FAILED):
                m.d.comb += [self.o_failure.eq(failure), self.o_failure.valid.eq(1), following.eq(State.IDLE)]
            with m.Default():
                fail(Error.LOST, 0)

        m.d.sync += [
            self.o_events.instructions.eq(done_count + (finished & ~missing_halt & running)),
            self.o_events.dma_wait_semaphore.eq(queues[Queue.DMA].o_waits),
            self.o_events.qmm_wait_semaphore.eq(queues[Queue.QMM].o_waits),
            self.o_events.row_wait_semaphore.eq(queues[Queue.ROW].o_waits),
            self.o_events.qmm_idle.eq(queues[Queue.QMM].o_idle),
        ]
        return m

    def _dispatch(self, m, resolved, running, empty):
        """Instructions from the stream ``resolved`` to the queues.

        Returns these, when one gets an instruction, and, held for a cycle, HALT and what cannot be decoded.
        """
        queues = []
        for queue, port in zip(Queue, (self.o_dma, self.o_qmm, self.o_row), strict=True):
            unit = m.submodules[queue.name.lower()] = ResetInserter(empty)(
                IssueQueue(self._depth[queue], STARTED[queue], used_bits(queue))
            )
            wiring.connect(m, unit.o, wiring.flipped(port))
            m.d.comb += [unit.i.p[name].eq(resolved.p[name]) for name in WAITING.members]
            queues.append(unit)
        target, halts = Signal(3), Signal()
        decode_error = Signal(ERROR)
        dispatch = Signal()
        m.d.comb += [
            dispatch.eq((target & Cat(unit.i.ready for unit in queues)).any()),
            resolved.ready.eq(dispatch),
        ]
        m.d.comb += [queues[queue].i.valid.eq(target[queue]) for queue in Queue]
        m.d.sync += [target.eq(0), halts.eq(0), decode_error.valid.eq(0)]
        with m.If(resolved.valid & ~dispatch & running):
            with m.If(resolved.p.error):
                m.d.sync += [decode_error.valid.eq(1), decode_error.code.eq(Error.AXI_READ)]
            with m.Else(), m.Switch(resolved.p.bits[:8]):
                for opcode in Opcode:
                    queue = operation(opcode).queue
                    if queue is not None:
                        with m.Case(opcode):
                            m.d.sync += target[queue].eq(1)
                with m.Case(Opcode.HALT):
                    m.d.sync += halts.eq(1)
                with m.Default():
                    m.d.sync += [decode_error.valid.eq(1), decode_error.code.eq(Error.ILLEGAL_OPCODE)]
        return queues, dispatch, halts, decode_error

    def _count(self, m, queues, dispatch, ending, fetched):
        """What each queue has completed, what none has yet, how many were completed a cycle ago, and whether the program is
        ``ending`` and that was all of it."""
        completed = [Signal(16, name=f"completed_{queue.name.lower()}") for queue in Queue]
        # A cycle late, like HALT itself: what was dispatched just before it is counted when it takes effect.
        unfinished = Signal(range(1 + sum(self._depth.values()) + sum(STARTED.values())))
        done_count, dispatched, finished = Signal(2), Signal(), Signal()
        m.d.sync += [
            done_count.eq(sum(self.o_completed)),
            dispatched.eq(dispatch),
            unfinished.eq(unfinished + dispatched - done_count),
            finished.eq(ending & ~unfinished.any() & fetched),
        ]
        for queue, unit in zip(Queue, queues, strict=True):
            m.d.sync += completed[queue].eq(completed[queue] + unit.o_done)
            m.d.comb += [unit.i_completed[other].eq(completed[other]) for other in Queue]
            m.d.comb += unit.i_done.eq(self.i_done[queue])
            m.d.comb += [self.o_started[queue].eq(unit.o_started), self.o_completed[queue].eq(unit.o_done)]
        return completed, unfinished, done_count, finished

    def _collect_errors(self, m):
        """The units' errors, as late as `_find_oldest`."""
        early = [Signal(ERROR, name=f"early_error_{queue.name.lower()}") for queue in Queue]
        errors = [Signal(ERROR, name=f"error_{queue.name.lower()}") for queue in Queue]
        for queue in Queue:
            m.d.sync += [early[queue].eq(self.i_error[queue]), errors[queue].eq(early[queue])]
        with m.If(self.i_write_error & ~self.i_error[Queue.ROW].valid):
            m.d.sync += [early[Queue.ROW].valid.eq(1), early[Queue.ROW].code.eq(Error.AXI_WRITE)]
        return errors

    def _find_oldest(self, m, queues, next_index):
        """The first instruction of each queue that had not completed two cycles ago, its done in that cycle counted; and
        the first of all, later still, as only the watchdog asks for it. ``next_index`` where there is none."""
        oldest = [Signal(16, name=f"oldest_{queue.name.lower()}") for queue in Queue]
        for signal, unit in zip(oldest, queues, strict=True):
            m.d.sync += signal.eq(Mux(unit.o_oldest.valid, unit.o_oldest.payload, next_index))
        pair, first = Signal(16), Signal(16)
        dma, qmm, row = oldest
        m.d.sync += [pair.eq(Mux(dma < qmm, dma, qmm)), first.eq(Mux(pair < row, pair, row))]
        return oldest, first
