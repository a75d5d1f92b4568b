"""Instructions as the hardware sees them: layouts made from the one definition in `isa.instruction`."""

from amaranth import signed, unsigned
from amaranth.lib import data

from isa.errors import Error
from isa.instruction import HEADER as HEADER_FIELDS
from isa.instruction import INSTRUCTION_BITS, operation


def _struct(fields):
    members = {field.name: signed(field.bits) if field.signed else unsigned(field.bits) for field in fields}
    rest = INSTRUCTION_BITS - sum(field.bits for field in fields)
    return data.StructLayout(members | {"padding": rest})


def instruction_layout(opcode):
    """All 512 bits of an instruction: its fields by name, lowest first, then ``padding``."""
    return _struct(operation(opcode).layout)


#: The fields that every instruction has.
HEADER = _struct(HEADER_FIELDS)

#: Payload of the streams from the scheduler to the units: the instruction and its place in the program.
ISSUE = data.StructLayout({"bits": INSTRUCTION_BITS, "index": 16})

#: A unit's error output: ``valid`` for a cycle with a `isa.errors.Error`. It is about the oldest instruction that
#: the unit has not completed, and no ``done`` for that one follows.
ERROR = data.StructLayout({"valid": 1, "code": range(max(Error) + 1)})
