"""Verilog of a component: deterministic, memories without initial values, repeated units emitted once.

Two departures from `amaranth.back.verilog.convert`, both because the largest preset has a thousand identical units and
megabits of memory: a unit used many times is elaborated once and instantiated by name (`add_shared`), and memories carry
no initial contents (Amaranth would spell out every bit; all of ours are written before they are read). Everywhere else a
design is an ordinary Amaranth design, its shared units ordinary submodules.
"""

from contextvars import ContextVar
from unittest.mock import patch

from amaranth.back import rtlil, verilog
from amaranth.hdl import ClockSignal, Const, Instance
from amaranth.lib import wiring

#: Of the `emit` that is running: the component behind each shared module, by the module's name.
_modules: ContextVar[dict[str, wiring.Component] | None] = ContextVar("modules", default=None)


def add_shared(m, name, module, build, /, **connections):
    """Add the component that ``build`` makes to ``m`` as a submodule; `emit` writes it once as a module for all of them.

    Parameters
    ----------
    m : Module
    name : str
        Of the submodule in ``m``.
    module : str
        Of the Verilog module. Equal names must mean equal parameters: `emit` elaborates only the first of each.
    build : callable
        Without arguments, gives a wiring.Component. It is purely a data path: it has a ``sync`` clock, and nobody relies
        on its reset, which the module has not.
    connections
        A value for each port, by its name in the component's signature.
    """
    modules = _modules.get()
    if modules is None:
        component = build()
    else:
        if module not in modules:
            modules[module] = build()
        component = modules[module]
    flows = {path[0]: member.flow for path, member, _ in component.signature.flatten(component)}
    if set(flows) != set(connections):
        raise ValueError(f"{module} has ports {sorted(flows)}, but {sorted(connections)} are connected")
    if modules is None:
        m.submodules[name] = component
        for port, value in connections.items():
            inner = getattr(component, port)
            m.d.comb += inner.eq(value) if flows[port] == wiring.In else value.eq(inner)
    else:
        ports = {f"{'i' if flows[port] == wiring.In else 'o'}_{port}": value for port, value in connections.items()}
        m.submodules[name] = Instance(module, i_clk=ClockSignal(), i_rst=Const(0), **ports)


def _without_initial_values(emit_memory):
    def wrapped(self, index, cell):
        if any(cell.init):
            emit_memory(self, index, cell)

    return wrapped


def emit(component, name, ports=None):
    """Verilog text of ``component`` as module ``name``, with every shared module behind it."""
    modules: dict[str, wiring.Component] = {}
    texts = []
    silent = patch.object(rtlil.ModuleEmitter, "emit_memory", _without_initial_values(rtlil.ModuleEmitter.emit_memory))

    def write(component, name, ports=None):
        texts.append(verilog.convert(component, name=name, ports=ports, emit_src=False, strip_internal_attrs=True))

    running = _modules.set(modules)
    try:
        with silent:
            write(component, name, ports)
            done = set()
            while todo := sorted(set(modules) - done):
                for module in todo:
                    write(modules[module], module)
                    done.add(module)
    finally:
        _modules.reset(running)
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
