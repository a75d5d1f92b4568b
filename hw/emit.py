"""Verilog of a component: deterministic, memories without initial values, repeated units emitted once.

Two departures from `amaranth.back.verilog.convert`, both because the largest preset has a thousand identical units and
megabits of memory: a unit used many times is elaborated once and instantiated by name (`shared`), and memories carry
no initial contents (Amaranth would spell out every bit; all of ours are written before they are read).
"""

from unittest.mock import patch

from amaranth.back import rtlil, verilog
from amaranth.hdl import ClockSignal, Const, Instance
from amaranth.lib import wiring

_shared = {}


def shared(component, name, **connections):
    """An instance of ``component``, which `emit` writes once as module ``name``.

    Parameters
    ----------
    component : wiring.Component
        Purely a data path: it has a ``sync`` clock and no reset. Only the first of each name is elaborated, so equal
        names must mean equal parameters.
    name : str
    connections
        A value for each port, by its name in the component's signature.
    """
    if _shared.setdefault(name, component) is not component:
        component._MustUse__silence = True  # a twin of the one that is emitted
    flows = {path[0]: member.flow for path, member, _ in component.signature.flatten(component)}
    if set(flows) != set(connections):
        raise ValueError(f"{name} has ports {sorted(flows)}, but {sorted(connections)} are connected")
    ports = {f"{'i' if flows[port] == wiring.In else 'o'}_{port}": value for port, value in connections.items()}
    return Instance(name, i_clk=ClockSignal(), i_rst=Const(0), **ports)


def _without_initial_values(emit_memory):
    def wrapped(self, index, cell):
        if any(cell.init):
            emit_memory(self, index, cell)

    return wrapped


def emit(component, name, ports=None):
    """Verilog text of ``component`` as module ``name``, with every shared module behind it."""
    _shared.clear()
    silent = patch.object(rtlil.ModuleEmitter, "emit_memory", _without_initial_values(rtlil.ModuleEmitter.emit_memory))
    with silent:
        texts = [verilog.convert(component, name=name, ports=ports, emit_src=False, strip_internal_attrs=True)]
        done = set()
        while todo := sorted(set(_shared) - done):
            for shared_name in todo:
                texts.append(
                    verilog.convert(_shared[shared_name], name=shared_name, emit_src=False, strip_internal_attrs=True)
                )
                done.add(shared_name)
    return _with_defaults("\n".join(texts))


def _with_defaults(text):
    """Every case with a default, as lint wants it. Each signal has its value before the case, so the default is empty."""
    lines, open_cases = [], []
    for line in text.split("\n"):
        word = line.split(maxsplit=1)[0] if line.strip() else ""
        if word in ("case", "casez"):
            open_cases.append(False)
        elif word == "default:":
            open_cases[-1] = True
        elif word == "endcase" and not open_cases.pop():
            lines.append(line.replace("endcase", "  default: /* empty */;"))
        lines.append(line)
    return "\n".join(lines)
