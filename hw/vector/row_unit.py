"""What the row units have in common: the interface that the row processor drives them by."""

from amaranth import Const
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from hw.instruction import instruction_layout
from hw.vector.row_stream import code_element, row_element

#: What is measured of an instruction before it is checked: ``columns`` that are real in this run, row elements of it.
ROW_SIZES = data.StructLayout({"columns": 16, "elements": 28})


def row_command(opcode, *names):
    """Layout of a command: fields of the instruction, as wide as there."""
    fields = instruction_layout(opcode)
    return data.StructLayout({name: fields[name].shape for name in names})


class RowUnit(wiring.Component):
    """Executes the row instructions of one opcode: rows of the next one enter while those of the one before leave.

    `hw.vector.row_units` lists all of them. The row processor gives a unit its command, then the rows, and takes its codes
    to the operand memories. Its other ports become ports of the processor, by the same names.

    Parameters
    ----------
    lanes : int
        L, elements of a row that come together.
    command : data.Layout
        Members with the name of a field of the instruction are that field, but that ``columns`` is the number that counts
        in this run; `derived` gives the others.
    codes : bool
        Whether it gives codes.
    members : dict
        Ports of its own.

    Attributes
    ----------
    opcode : Opcode
        Of the class. In lower case it names the instance, and with ``_busy`` behind it the counter of its cycles.

    Members
    -------
    i_command : In(stream of ``command``)
        Of a unit with ``codes`` while rows of the command before may still enter or leave; of others when all of it has
        happened.
    i : In(stream of `hw.vector.row_stream.row_element`)
        The rows of the commands, in order; the last element of each command ``ends`` it.
    o : Out(stream of `hw.vector.row_stream.code_element`)
        With ``codes``: as many rows. The instruction has completed when all of its codes are written.
    o_done : Out
        Without ``codes``: pulse, all of the command has happened. The instruction has completed.
    """

    opcode = None

    def __init__(self, lanes, command, codes, members):
        self.lanes = lanes
        super().__init__(
            {
                "i_command": In(stream.Signature(command)),
                "i": In(stream.Signature(row_element(lanes))),
                **({"o": Out(stream.Signature(code_element(lanes)))} if codes else {"o_done": Out(1)}),
                **members,
            }
        )

    @classmethod
    def of(cls, config):
        """The unit of an accelerator of `isa.config.AcceleratorConfig`."""
        raise NotImplementedError

    @staticmethod
    def refuses(fields, sizes, config):
        """Whether the unit cannot do an instruction with these ``fields`` and `ROW_SIZES`: a Value.

        What holds for all of them is not its business: some rows and groups, no more groups than a row has, and of those
        that give codes the bits of these, and columns within the groups.
        """
        raise NotImplementedError

    @staticmethod
    def leaves(fields, sizes, config):
        """Whether an instruction uses words that its unit's own memories do not have: a Value."""
        return Const(0)

    @staticmethod
    def derived(sizes, config):
        """Members of its command that no field holds: {name: Value}."""
        return {}


def gives_codes(unit):
    """Whether a `RowUnit` gives codes."""
    return "o" in unit.signature.members


def own_ports(unit):
    """{name: member} of the ports of a `RowUnit` that the row processor only passes on."""
    common = ("i_command", "i", "o", "o_done")
    return {name: member for name, member in unit.signature.members.items() if name not in common}
