"""The IP that the packaging script makes, from its recorded calls and the Verilog's ports; asserts that both agree."""

import re
from pathlib import Path

from tb.boards.zynq.vivado.cells import IN, MASTER, OUT, SLAVE, Cell

#: Signals by channel that an interface must have to be inferred, and those that only full AXI4 has (AMBA AXI4, A2 and B1).
_CHANNELS = {
    "aw": ("addr", "valid", "ready"), "w": ("data", "strb", "valid", "ready"), "b": ("resp", "valid", "ready"),
    "ar": ("addr", "valid", "ready"), "r": ("data", "resp", "valid", "ready"),
}  # fmt: skip
LITE = {channel + name for channel, names in _CHANNELS.items() for name in names}
FULL = LITE | {"awlen", "awsize", "awburst", "wlast", "arlen", "arsize", "arburst", "rlast"}
OPTIONAL = {a + b for a in ("aw", "ar") for b in ("id", "cache", "prot", "lock", "qos", "region")} | {"bid", "rid"}
AXI = "xilinx.com:interface:aximm_rtl:1.0"
CLOCK, RESET, INTERRUPT = (f"xilinx.com:signal:{name}_rtl:1.0" for name in ("clock", "reset", "interrupt"))


def ports_of(verilog, top):
    """``{name: (in or out, width)}`` of a module, as Yosys writes it."""
    module = re.search(rf"^module {top}\(.*?^endmodule", verilog, re.MULTILINE | re.DOTALL)
    assert module, f"there is no module {top}"
    found = re.findall(r"^  (input|output)(?: \[(\d+):0\])? (\w+);", module[0], re.MULTILINE)
    return {name: (IN if way == "input" else OUT, int(high or 0) + 1) for way, high, name in found}


class Component:
    """``vlnv`` and ``folder`` of the IP, and ``cell``: what it looks like in a block design.

    ``registers`` are [(name, address, access)] and ``range`` the bytes that hold them; ``protocols`` of the interfaces
    are "AXI4" or "AXI4LITE", ``widths`` their bits of data.
    """

    def __init__(self, calls):
        end = next(i for i, call in enumerate(calls) if call.command == "close_project")
        calls = calls[:end]
        self._calls = calls
        (sources,) = self._all("add_files")
        (top,) = (c.arguments[1] for c in self._all("set_property") if c.arguments[0] == "top")
        self.ports = ports_of(Path(sources.arguments[0]).read_text(), top)
        (package,) = self._all("ipx::package_project")
        self.folder = package.options["-root_dir"]
        named = {c.arguments[0]: c.arguments[1] for c in self._all("set_property") if c.arguments[2] == "component:core"}
        self.vlnv = ":".join([package.options["-vendor"], package.options["-library"], named["name"], named["version"]])
        self._infer()
        self._associate()
        self._memory_map()
        saved = [call.command for call in calls[-2:]]
        assert saved == ["ipx::check_integrity", "ipx::save_core"], "the component is checked and saved at the end"

    def _all(self, command):
        return [call for call in self._calls if call.command == command]

    def _properties(self, prefix):
        """``{object: {name: value}}`` of the objects of a class."""
        found = {}
        for call in self._all("set_property"):
            if call.arguments[2].startswith(prefix):
                found.setdefault(call.arguments[2].removeprefix(prefix), {})[call.arguments[0]] = call.arguments[1]
        return found

    def _infer(self):
        """Interfaces by the rule of names: prefix_signal, in either direction; clock, reset and interrupt by port."""
        single = {c.arguments[0]: c.arguments[1] for c in self._all("ipx::infer_bus_interface")}
        inferred = [c.arguments[0] for c in self._all("ipx::infer_bus_interfaces")]
        assert inferred == [AXI], inferred
        for port in single:
            assert port in self.ports, f"there is no port {port}"
            assert self.ports[port][1] == 1
        assert sorted(single.values()) == sorted([CLOCK, RESET, INTERRUPT])
        self.clock, self.reset, self.interrupt = (
            next(port for port, kind in single.items() if kind == wanted) for wanted in (CLOCK, RESET, INTERRUPT)
        )
        ways = [self.ports[name][0] for name in (self.clock, self.reset, self.interrupt)]
        assert ways == [IN, IN, OUT], "clock and reset come in, the interrupt goes out"
        groups = {}
        for port in self.ports.keys() - single.keys():
            prefix, _, signal = port.rpartition("_")
            groups.setdefault(prefix, {})[signal] = port
        self.protocols, self.widths, interfaces = {}, {}, {}
        for prefix, signals in groups.items():
            assert set(signals) >= LITE, f"{prefix} lacks {sorted(LITE - set(signals))}"
            assert set(signals) <= FULL | OPTIONAL, f"{prefix} has {sorted(set(signals) - FULL - OPTIONAL)}"
            full = set(signals) >= FULL
            assert full or not set(signals) & (FULL - LITE), f"{prefix} is neither AXI4 nor AXI4-Lite"
            self.protocols[prefix] = "AXI4" if full else "AXI4LITE"
            self.widths[prefix] = self.ports[signals["wdata"]][1]
            interfaces[prefix] = (MASTER if self.ports[signals["awvalid"]][0] == OUT else SLAVE, self.clock)
        pins = {port: self.ports[port][0] for port in single}
        spaces = {name: {name: (0, (1 << 64) - 1)} for name, (side, _) in interfaces.items() if side == MASTER}
        self.cell = Cell(pins, interfaces, spaces)

    def _associate(self):
        """Every interface has the clock, and the clock the reset, whose polarity is stated."""
        with_clock, with_reset = [], []
        for call in self._all("ipx::associate_bus_interfaces"):
            assert call.options["-clock"] == self.clock, call
            if "-busif" in call.options:
                assert call.options["-busif"] in self.cell.interfaces, call
                with_clock.append(call.options["-busif"])
            if "-reset" in call.options:
                assert call.options["-reset"] == self.reset, call
                with_reset.append(call.options["-reset"])
        assert sorted(with_clock) == sorted(self.cell.interfaces), "each interface is associated with the clock, once"
        assert with_reset == [self.reset]
        levels = {name: values["value"] for name, values in self._properties("bus_parameter:bus_interface:").items()}
        wanted = {f"{self.reset}:POLARITY": "ACTIVE_LOW", f"{self.interrupt}:SENSITIVITY": "LEVEL_HIGH"}
        assert levels == wanted, f"levels are {levels}"
        assert self.reset.endswith("n"), "a reset that is active low is called so"

    def _memory_map(self):
        """One map with one block of registers, of the one slave."""
        (memory_map,) = (c.arguments[0] for c in self._all("ipx::add_memory_map"))
        ((block, parent),) = (c.arguments for c in self._all("ipx::add_address_block"))
        assert parent == f"memory_map:{memory_map}"
        references = {name: values["slave_memory_map_ref"] for name, values in self._properties("bus_interface:").items()}
        slaves = [name for name, (side, _) in self.cell.interfaces.items() if side == SLAVE]
        assert references == dict.fromkeys(slaves, memory_map), "the slave refers to the map"
        values = self._properties("address_block:")[block]
        assert (values["width"], values["usage"]) == ("32", "register")
        self.range = int(values["range"], 0)
        (slave,) = slaves
        assert self.range <= 1 << self.ports[f"{slave}_awaddr"][1], "the addresses of the registers have enough bits"
        self.cell.segments[f"{slave}/{block}"] = (slave, (0, self.range - 1))
        properties = self._properties("register:")
        made = [c.arguments for c in self._all("ipx::add_register")]
        assert all(parent == f"address_block:{block}" for _, parent in made)
        assert [name for name, _ in made] == list(properties)
        assert all(values["size"] == "32" for values in properties.values())
        self.registers = [(name, int(v["address_offset"], 0), v["access"]) for name, v in properties.items()]
