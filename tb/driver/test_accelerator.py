"""The driver on the reference and on the RTL: equal logits, batches that overlap, every error typed and survived."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from driver.accelerator import Accelerator
from driver.errors import RunError, RunTimeout, TransportError, WrongDevice, WrongProgram
from driver.golden import GoldenTransport
from golden.model import Input
from isa.errors import Error
from isa.instruction import Opcode
from isa.presets import preset
from isa.registers import ADDRESS, COUNTERS, Status
from program.compiler.compiler import compile_encoder
from sim.simulation import CLOCK_HZ, Simulation
from tb.driver.cases import CONFIG, case, patched

MEMORY = 1 << 19
BASE = 0x8_7000_0000  # above 4 GiB: the high halves of addresses matter
TRANSPORTS = {
    "golden": lambda: GoldenTransport(CONFIG, MEMORY),
    "rtl": lambda: Simulation(CONFIG, MEMORY, memory_base=BASE),
}


@pytest.fixture(scope="module", params=TRANSPORTS)
def accelerator(request):
    with Accelerator(TRANSPORTS[request.param](), watchdog=5000) as accelerator:
        yield accelerator


@pytest.fixture(scope="module")
def rtl():
    with Accelerator(TRANSPORTS["rtl"](), watchdog=5000) as accelerator:
        yield accelerator


def works(accelerator, kind=Input.PATCHES):
    """Whether the accelerator takes a program and computes it, which it must after any error."""
    accelerator.load(case(kind).program)
    return np.array_equal(accelerator.run(case(kind).inputs, case(kind).lengths), case(kind).logits)


@pytest.mark.parametrize("kind", list(Input))
def test_a_batch_and_single_samples_give_the_logits_of_the_reference(accelerator, kind):
    sample = case(kind)
    accelerator.load(sample.program)
    assert np.array_equal(accelerator.run(sample.inputs, sample.lengths), sample.logits)
    for inputs, length, logits in zip(sample.inputs, sample.lengths, sample.logits):
        assert np.array_equal(accelerator.run(inputs, length), logits)
    assert np.array_equal(accelerator.run(sample.inputs[0]), sample.logits[0])  # its length is that of the program


@pytest.mark.parametrize("batch", [2, 4])
@pytest.mark.parametrize("kind", list(Input))
def test_a_program_for_several_samples_takes_any_number_of_them(accelerator, kind, batch):
    """Their lengths are their own, and what the last batch lacks disturbs nothing."""
    sample = case(kind, batch=batch)
    accelerator.load(sample.program)
    for count in (5, 1, 4):
        assert np.array_equal(accelerator.run(sample.inputs[:count], sample.lengths[:count]), sample.logits[:count])
    assert np.array_equal(accelerator.run(sample.inputs[1], sample.lengths[1]), sample.logits[1])


def test_counters_are_those_of_the_last_inference(accelerator):
    program = case().program
    accelerator.load(program)
    accelerator.run(case().inputs, case().lengths)
    counters = accelerator.counters()
    assert counters["instructions"] == len(program.instructions)
    if "cycles" in counters:
        assert list(counters) == [name for name, _ in COUNTERS]
        assert 0 < counters["qmm_busy"] < counters["cycles"]


class Recording(Simulation):
    """Notes each transfer of memory and whether the accelerator was busy at that time."""

    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        self.transfers = []

    def _note(self, kind, offset):
        self.transfers.append((kind, offset, bool(self.read_register(ADDRESS["status"]) >> Status.BUSY & 1)))

    def read_memory(self, offset, size):
        self._note("read", offset)
        return super().read_memory(offset, size)

    def write_memory(self, offset, data):
        self._note("write", offset)
        super().write_memory(offset, data)


def test_in_a_batch_inputs_and_outputs_move_while_the_accelerator_computes():
    transport = Recording(CONFIG, MEMORY)
    with Accelerator(transport) as accelerator:
        accelerator.load(case().program)
        transport.transfers.clear()
        accelerator.run(case().inputs, case().lengths)
    count = len(case().inputs)
    writes = [transfer for transfer in transport.transfers if transfer[0] == "write"]
    reads = [transfer for transfer in transport.transfers if transfer[0] == "read"]
    assert [busy for _, _, busy in writes] == [False] + [True] * (count - 1)
    assert [busy for _, _, busy in reads] == [True] * (count - 1) + [False]
    for transfers in (writes, reads):
        places = [offset for _, offset, _ in transfers]
        assert len(set(places)) == 2
        assert all(a != b for a, b in pairwise(places))


def test_samples_that_the_program_does_not_take_are_refused_before_anything_runs(accelerator):
    accelerator.load(case().program)
    bad = case().inputs.copy()
    bad[-1, 0, 0] = 256
    with pytest.raises(ValueError, match=r"patch codes must be in 0..255, not 256"):
        accelerator.run(bad, case().lengths)
    with pytest.raises(ValueError, match="shape"):
        accelerator.run(case().inputs[0, :-1])
    with pytest.raises(ValueError, match=r"length must be in 1..7, not 0"):
        accelerator.run(case().inputs[0], 0)
    assert works(accelerator)


def test_nothing_runs_without_a_program():
    with Accelerator(TRANSPORTS["golden"]()) as accelerator, pytest.raises(WrongProgram, match="call load"):
        accelerator.run(case().inputs)


@pytest.mark.parametrize(("other", "named"), [
    (preset("small"), "rows is 16 there and 4 here"), (replace(CONFIG, right_depth=1024), "depths of memories"),
], ids=["preset", "depth"])  # fmt: skip
def test_a_program_for_another_configuration_is_refused(accelerator, other, named):
    with pytest.raises(WrongProgram, match=f"{named}.*compile it for the bitstream's preset"):
        accelerator.load(compile_encoder(case().encoder, other))
    assert works(accelerator)


@pytest.mark.parametrize("transport", [GoldenTransport, Simulation])
def test_a_program_larger_than_the_memory_is_refused(transport):
    with Accelerator(transport(CONFIG, 8192)) as accelerator, pytest.raises(WrongProgram, match="has 8192; give it more"):
        accelerator.load(case().program)


@pytest.mark.parametrize(("register", "value", "message"), [
    ("identification", 0xFFFFFFFF, "reads 0xFFFFFFFF, not 0x4E525442.*load its bitstream"),
    ("version", 77, "version 77 of the register map.*same release"),
])  # fmt: skip
def test_a_wrong_bitstream_or_version_is_refused_and_the_transport_closed(register, value, message, monkeypatch):
    transport, closed = TRANSPORTS["rtl"](), []
    read, close = transport.read_register, transport.close
    monkeypatch.setattr(transport, "read_register", lambda a: value if a == ADDRESS[register] else read(a))
    monkeypatch.setattr(transport, "close", lambda: (closed.append(1), close()))  # type: ignore[func-returns-value]
    with pytest.raises(WrongDevice, match=message):
        Accelerator(transport)
    assert closed


@pytest.mark.parametrize(("opcode", "fields", "code"), [
    (Opcode.LOAD, dict(offset=1 << 24), Error.AXI_READ),
    (Opcode.STORE, dict(offset=1 << 24), Error.AXI_WRITE),
    (Opcode.LOAD, dict(address=65000), Error.ADDRESS_RANGE),
    (Opcode.LOAD, dict(opcode=0xEE), Error.ILLEGAL_OPCODE),
    (Opcode.QMM, dict(words=0), Error.SHAPE),
    (Opcode.QMM, dict(wait_row=9999), Error.WATCHDOG),
], ids=lambda value: value.name if isinstance(value, Error | Opcode) else "")  # fmt: skip
def test_an_error_names_code_and_instruction_and_the_next_run_works(accelerator, opcode, fields, code):
    if isinstance(accelerator.transport, GoldenTransport) and code in (Error.WATCHDOG, Error.SHAPE):
        pytest.skip("the reference knows no time, and leaves shapes to the checker")
    program = case().program
    index = next(i for i, instruction in enumerate(program.instructions) if instruction.opcode is opcode)
    if "opcode" in fields:
        image = bytearray(program.image)
        image[program.program_offset + 64 * index] = 0xEE
        broken = replace(program, image=bytes(image))
    else:
        broken = patched(program, index, **fields)
    accelerator.load(broken)
    at_port = code in (Error.AXI_READ, Error.AXI_WRITE) and not isinstance(accelerator.transport, GoldenTransport)
    port = " on memory port 0" if at_port else ""
    with pytest.raises(RunError, match=f"stopped with {code.name}{port} at instruction {index} .*; ") as caught:
        accelerator.run(case().inputs, case().lengths)
    assert (caught.value.code, caught.value.instruction, caught.value.name) == (code, index, program.names[index])
    assert works(accelerator)


def test_a_token_id_beyond_the_vocabulary_is_an_error_of_the_accelerator_too(accelerator, monkeypatch):
    sample = case(Input.TOKENS)
    accelerator.load(sample.program)
    monkeypatch.setattr("driver.accelerator.pack_batch", lambda p, x, n: np.full(p.input.bytes // 4, 9, "<u4").tobytes())
    with pytest.raises(RunError, match=r"INDEX_RANGE.*outside the vocabulary"):
        accelerator.run(sample.inputs[0])
    monkeypatch.undo()
    assert works(accelerator, Input.TOKENS)


def test_a_time_out_says_so_and_the_accelerator_takes_the_next_run(rtl, monkeypatch):
    program = case().program
    index = next(i for i, instruction in enumerate(program.instructions) if instruction.opcode is Opcode.QMM)
    monkeypatch.setattr(rtl, "watchdog", 0)
    monkeypatch.setattr(rtl, "deadline", 0)
    rtl.load(patched(program, index, wait_row=9999))
    monkeypatch.setattr(rtl, "timeout", 20_000 / CLOCK_HZ)
    with pytest.raises(RunTimeout, match=r"busy after 0.0002 s.*longer timeout"):
        rtl.run(case().inputs[0])
    rtl.load(program)  # the run was aborted
    monkeypatch.undo()
    assert works(rtl)


def test_a_run_ends_at_its_deadline(rtl, monkeypatch):
    program = case().program
    index = next(i for i, instruction in enumerate(program.instructions) if instruction.opcode is Opcode.QMM)
    monkeypatch.setattr(rtl, "watchdog", 0)
    monkeypatch.setattr(rtl, "deadline", 10_000)
    rtl.load(patched(program, index, wait_row=9999))
    with pytest.raises(RunError, match="DEADLINE"):
        rtl.run(case().inputs[0])
    assert 10_000 <= rtl.counters()["cycles"] <= 10_050
    monkeypatch.undo()
    assert works(rtl)


def test_a_program_that_leaves_rows_is_an_error_and_the_next_run_is_right(accelerator):
    """The classifier's product gives more row tiles than are taken: one flipped bit of its instruction."""
    program = case().program
    last = max(i for i, instruction in enumerate(program.instructions) if instruction.opcode is Opcode.QMM)
    accelerator.load(patched(program, last, row_tiles=program.instructions[last].row_tiles + 2))
    for _ in range(2):
        with pytest.raises(RunError, match=f"LEFTOVER at instruction {len(program.instructions) - 1} "):
            accelerator.run(case().inputs[0])
    for _ in range(4):
        assert works(accelerator)


def test_a_reset_in_the_middle_is_noticed(rtl, monkeypatch):
    rtl.load(case().program)
    monkeypatch.setattr(rtl.transport, "read_register", lambda address: 0)
    with pytest.raises(TransportError, match="neither runs nor is done"):
        rtl.run(case().inputs[0])
    monkeypatch.undo()
    rtl.transport.advance(10_000)
    assert works(rtl)


def test_registers_and_memory_that_do_not_exist_are_refused(accelerator):
    transport = accelerator.transport
    with pytest.raises(TransportError, match=r"0x0F0.*docs/registers.md"):
        transport.read_register(0xF0)
    for offset, size in ((MEMORY, 1), (-1, 4), (0, MEMORY + 1)):
        with pytest.raises(ValueError, match="outside the memory"):
            transport.read_memory(offset, size)
        with pytest.raises(ValueError, match="outside the memory"):
            transport.write_memory(offset, bytes(size))
