"""Units of a design: its Verilog cut at module boundaries, so that each kind of unit is synthesised once.

A unit is a module with everything below it that is not a unit of its own; those stand in it as black boxes. A design is
the sum of its units times how often each occurs.
"""

import re
from collections import Counter
from dataclasses import dataclass

TOP = "bittern"
#: What only holds and connects units. A module in one of these is a unit; what is deeper belongs to the unit around it.
CONTAINERS = ([], ["core"], ["core", "qmm"], ["core", "rows"])
#: But not these: small, and entwined with what connects the units beside them.
PARTS = (["core", "rows", "next"], ["core", "rows", "progress"], ["core", "rows", "store"])
#: Shared modules are always units. So are these, because they grow with the lanes and take long together.
DEEPER = ("rescale",)

_MODULE = re.compile(r"^module (\\\S+ |\w+) ?\(.*?^endmodule\n", re.MULTILINE | re.DOTALL)
_INSTANCE = re.compile(r"^  (\\\S+ |[A-Za-z_]\w*) +(?:\\\S+ |[A-Za-z_]\w*) +\($", re.MULTILINE)
_PORT = re.compile(r"^  (?:input|output|inout) .*?;\n", re.MULTILINE)
_ESCAPED = re.compile(r"\\\S+ ")
_CONNECTION = re.compile(r"    \.(\\\S+ |\w+)")
_NUMBER = re.compile(r"(\$\d+)+(?= |$)")


@dataclass(frozen=True)
class Unit:
    """One kind of unit.

    Parameters
    ----------
    name : str
        Of its module, without the name of the design: ``core.qmm.drain``; ``top`` is what connects all.
    module : str
        Name of the module to synthesise.
    modules : dict
        Verilog text of the module and of each one below it, by name.
    inner : dict
        Ports of the units in it as empty modules, by name.
    count : int
        How often it is in the design.
    """

    name: str
    module: str
    modules: dict[str, str]
    inner: dict[str, str]
    count: int

    @property
    def verilog(self) -> str:
        return "".join((*self.modules.values(), *self.inner.values()))


def split(verilog: str, root: str = TOP, whole: bool = False) -> list[Unit]:
    """Units of a design, from its Verilog text as `hw.emit` writes it; the largest text first.

    ``root``: the module to begin with, where not the top. ``whole``: all below it is one unit.
    """
    texts = {match[1].strip(): match[0] for match in _MODULE.finditer(verilog)}
    ports = {name: _ports(text) for name, text in texts.items()}
    texts = {name: _canonical(text, ports) for name, text in texts.items()}
    # Primitives of the target, such as LUT6_2, are instances too, but nothing here describes them.
    below = {
        name: Counter(found for match in _INSTANCE.finditer(text) if (found := match[1].strip()) in texts)
        for name, text in texts.items()
    }
    counts = Counter()
    _count(root, 1, below, counts)
    is_unit = (lambda module: module == root) if whole else _is_unit
    units = [
        Unit(_name(module), module, modules, inner, counts[module])
        for module in counts
        if is_unit(module)
        for modules, inner in [_content(module, texts, below, is_unit)]
    ]
    return sorted(units, key=lambda unit: (-len(unit.verilog), unit.name))


def _count(module, times, below, counts):
    counts[module] += times
    for child, instances in below[module].items():
        _count(child, times * instances, below, counts)


def _path(module):
    """Levels below the top, [] for the top itself; None for a shared module, which has no place of its own."""
    name = module.removeprefix("\\")
    return name.split(".")[1:] if name == TOP or name.startswith(f"{TOP}.") else None


def _is_unit(module):
    path = _path(module)
    return path is None or path == [] or (path[:-1] in CONTAINERS and path not in PARTS) or path[-1] in DEEPER


def _name(module):
    path = _path(module)
    return module.removeprefix(f"{TOP}_") if path is None else ".".join(path) or "top"


def _content(module, texts, below, is_unit):
    modules, inner = {module: texts[module]}, {}
    todo = list(below[module])
    while todo:
        child = todo.pop()
        if is_unit(child):
            ports = "".join(_PORT.findall(texts[child]))
            inner[child] = f"(* blackbox *)\n{texts[child].partition(';')[0]};\n{ports}endmodule\n"
        elif child not in modules:
            modules[child] = texts[child]
            todo.extend(below[child])
    return modules, dict(sorted(inner.items()))


def _canonical(text, ports):
    """The same module with names such as port$2159$0 numbered from 0: the emitter numbers them over the whole design, and a
    unit must not change with what is beside it. And without brackets: a wire named o[0] beside a wire o of several bits
    ends Yosys' mapper with a failed assertion. ``ports``: for each module the new names of its ports."""
    names = _Names()
    lines, inner = [], None
    for line in text.split("\n"):
        if match := _INSTANCE.match(line):
            inner = ports.get(match[1].strip(), {})
            lines.append(match[1].join(("  ", _ESCAPED.sub(names, line[2 + len(match[1]) :]))))
        elif inner is not None and (match := _CONNECTION.match(line)):
            port = match[1]
            lines.append(f"    .{inner.get(port, port)}{_ESCAPED.sub(names, line[match.end() :])}")
        elif line.startswith("module "):
            head, bracket, rest = line.partition("(")
            lines.append(head + bracket + _ESCAPED.sub(names, rest))
        else:
            inner = None if line == "  );" else inner
            lines.append(_ESCAPED.sub(names, line))
    return "\n".join(lines)


class _Names(dict):
    """Old name, with backslash and space, to new name; for `re.sub`."""

    def __init__(self):
        super().__init__()
        self.used = Counter()

    def __call__(self, match):
        name = match[0]
        if name not in self:
            plain = _NUMBER.sub("", name[1:-1]).replace("[", "(").replace("]", ")")
            numbered = _NUMBER.search(name) is not None
            self[name] = f"\\{plain}${self.used[plain]} " if numbered else f"\\{plain} "
            self.used[plain] += numbered
        return self[name]


def _ports(text):
    """New names of a module's ports. They are the first names in it, so that the module itself agrees."""
    names = _Names()
    _ESCAPED.sub(names, text[text.index("(") : text.index(");")])
    return names
