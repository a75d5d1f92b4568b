"""The table of row units is complete, and they differ from each other only by what the interface says."""

from amaranth.hdl import Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hw.instruction import instruction_layout
from hw.vector.row_processor import RowProcessor
from hw.vector.row_stream import code_element, row_element
from hw.vector.row_unit import ROW_SIZES, gives_codes, own_ports
from hw.vector.row_units import ROW_EVENTS, ROW_UNITS
from isa.instruction import Opcode, Queue, operation
from isa.presets import preset
from isa.registers import COUNTERS

CONFIG = preset("tiny")


def of_tiny():
    units = [unit.of(CONFIG) for unit in ROW_UNITS]
    for unit in units:
        unit._MustUse__silence = True
    return units


def test_every_row_instruction_has_one_unit():
    assert [unit.opcode for unit in ROW_UNITS] == [opcode for opcode in Opcode if operation(opcode).queue is Queue.ROW]


def test_every_unit_has_the_ports_of_the_interface():
    for unit in of_tiny():
        assert unit.i.payload.shape() == row_element(CONFIG.row_lanes)
        if gives_codes(unit):
            assert unit.o.payload.shape() == code_element(CONFIG.row_lanes)
        else:
            assert unit.signature.members["o_done"] == Out(1)


def test_every_member_of_a_command_is_a_field_as_wide_as_that_or_derived():
    for unit in of_tiny():
        fields = instruction_layout(unit.opcode).members
        command = unit.i_command.payload.shape().members
        assert {name: shape for name, shape in command.items() if name in fields} == {
            name: fields[name] for name in command if name in fields
        }
        assert set(command) - set(fields) == set(unit.derived(Signal(ROW_SIZES), CONFIG))


def test_what_is_a_units_own_is_a_port_of_the_processor():
    processor = RowProcessor(CONFIG)
    processor._MustUse__silence = True
    for unit in processor.units.values():
        unit._MustUse__silence = True
        for name, member in own_ports(unit).items():
            assert processor.signature.members[name] == member
    assert isinstance(processor.signature.members["i_load_norm"], wiring.Member)
    assert processor.signature.members["i_store_done"] == In(1)


def test_every_event_has_its_counter():
    assert set(ROW_EVENTS.members) <= {name for name, _ in COUNTERS}
