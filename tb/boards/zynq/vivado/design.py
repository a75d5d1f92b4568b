"""The block design that the scripts make, from their recorded calls: asserts that every connection and address is legal."""

from tb.boards.zynq.vivado.cells import IN, MASTER, OUT, SLAVE, VENDOR_CELLS


class BlockDesign:
    """``cells`` by name, ``nets`` [(driver, loads)], ``links`` {master: slave}, ``addresses`` {(space, segment): where}.

    Parameters
    ----------
    calls : list of tb.boards.zynq.vivado.run.Call
    components : dict
        Our own IP: `tb.boards.zynq.vivado.cells.Cell` by VLNV.
    """

    def __init__(self, calls, components):
        start = next(i for i, call in enumerate(calls) if call.command == "create_bd_design")
        self.name = calls[start].arguments[0]
        calls = calls[start:]
        self.cells, self.nets, self.links, self.addresses = {}, [], {}, {}
        self.settings = {}
        for call in calls:
            if call.command == "create_bd_cell":
                assert call.arguments[0] not in self.settings, call
                assert call.options["-type"] == "ip", call
                self.settings[call.arguments[0]] = (call.options["-vlnv"], {})
            elif call.command == "set_property" and call.arguments[2].startswith("bd_cell:"):
                self._set(*call.arguments)
            elif call.command == "apply_bd_automation":
                self._automate(call)
        for name, (vlnv, settings) in self.settings.items():
            assert vlnv in components or vlnv in VENDOR_CELLS, f"there is no IP {vlnv}"
            self.cells[name] = components[vlnv] if vlnv in components else VENDOR_CELLS[vlnv](settings)
        handlers = {
            "connect_bd_net": self._connect, "connect_bd_intf_net": self._link, "assign_bd_address": self._assign,
        }  # fmt: skip
        for call in calls:
            if call.command in handlers:
                handlers[call.command](call)
        order = [call.command for call in calls]
        assert order.index("validate_bd_design") < order.index("save_bd_design") < order.index("make_wrapper")
        assert max(i for i, name in enumerate(order) if name in handlers) < order.index("validate_bd_design")
        self._complete()

    def _set(self, name, value, cell):
        assert name.startswith("CONFIG."), name
        self.settings[cell.removeprefix("bd_cell:")][1][name.removeprefix("CONFIG.")] = value

    def _automate(self, call):
        (cell,) = call.arguments
        vlnv, settings = self.settings[cell.removeprefix("bd_cell:")]
        assert call.options["-rule"] == vlnv.replace(":ip:", ":bd_rule:"), call
        assert call.options["-config"].split() == ["apply_board_preset", '"1"'], call
        assert not settings, "the preset would overwrite what was set before it"

    def _pin(self, token, kind):
        """Cell and pin that ``token`` names, which must be there."""
        assert token.startswith(f"{kind}:"), token
        name = token.removeprefix(f"{kind}:")
        cell, pin = name.split("/", 1)
        assert cell in self.cells, f"there is no cell {cell}"
        where = {"bd_pin": "pins", "bd_intf_pin": "interfaces"}[kind]
        assert pin in getattr(self.cells[cell], where), f"cell {cell} ({self.settings[cell][0]}) has no {pin}"
        return name, getattr(self.cells[cell], where)[pin]

    def _connect(self, call):
        pins = [self._pin(token, "bd_pin") for token in call.arguments]
        drivers = [name for name, way in pins if way == OUT]
        assert len(drivers) == 1, f"a net has one driver, not {drivers}"
        self.nets.append((drivers[0], [name for name, way in pins if way == IN]))

    def _link(self, call):
        ends = {side: name for name, (side, _) in (self._pin(token, "bd_intf_pin") for token in call.arguments)}
        assert set(ends) == {MASTER, SLAVE}, f"master and slave are connected, not {call.arguments}"
        assert ends[MASTER] not in self.links, f"{ends[MASTER]} is connected twice"
        assert ends[SLAVE] not in self.links.values(), f"{ends[SLAVE]} is connected twice"
        self.links[ends[MASTER]] = ends[SLAVE]

    def _complete(self):
        """Nothing that must be connected is open, nothing is driven twice, and both ends of a link have one clock."""
        loads = [load for _, all_loads in self.nets for load in all_loads]
        assert len(loads) == len(set(loads)), "an input is driven twice"
        for name, cell in self.cells.items():
            for pin, way in cell.pins.items():
                assert way == OUT or f"{name}/{pin}" in loads or pin in cell.optional, f"{name}/{pin} is open"
            for interface in cell.interfaces:
                assert f"{name}/{interface}" in {*self.links, *self.links.values()}, f"{name}/{interface} is open"
        for master, slave in self.links.items():
            assert self.clock_of(master) == self.clock_of(slave), f"{master} and {slave} have different clocks"

    def driver_of(self, pin):
        """The output that drives an input."""
        drivers = [driver for driver, loads in self.nets if pin in loads]
        assert drivers, f"{pin} is open"
        return drivers[0]

    def clock_of(self, interface):
        cell, name = interface.split("/")
        return self.driver_of(f"{cell}/{self.cells[cell].interfaces[name][1]}")

    def slaves_of(self, master):
        """The ends that a master reaches, through interconnects."""
        if master not in self.links:
            return set()
        end = self.links[master]
        cell = end.split("/")[0]
        if "smartconnect" not in self.settings[cell][0]:
            return {end}
        return {leaf for name, (side, _) in self.cells[cell].interfaces.items() if side == MASTER
                for leaf in self.slaves_of(f"{cell}/{name}")}  # fmt: skip

    def _assign(self, call):
        space = call.options["-target_address_space"].removeprefix("bd_addr_space:")
        (segment,) = (token.removeprefix("bd_addr_seg:") for token in call.arguments)
        master_cell, space_name = space.split("/")
        slave_cell, segment_name = segment.split("/", 1)
        spaces, segments = self.cells[master_cell].spaces, self.cells[slave_cell].segments
        assert space_name in spaces, f"there is no address space {space}"
        assert segment_name in segments, f"there is no address segment {segment}"
        first, size = int(call.options["-offset"], 0), int(call.options["-range"], 0)
        assert size >= 4096, "the least that can be mapped is 4 KiB"
        assert size & (size - 1) == 0, "a range is a power of two"
        assert first % size == 0, "a range lies at a multiple of its size"
        interface, (low, high) = segments[segment_name]
        assert size <= high - low + 1, f"{segment} has {high - low + 1} bytes, not {size}"
        slave = f"{slave_cell}/{interface}"
        masters = [master for master in spaces[space_name] if slave in self.slaves_of(f"{master_cell}/{master}")]
        assert len(masters) == 1, f"{space} does not reach {segment}"
        reached_low, reached_high = spaces[space_name][masters[0]]
        assert reached_low <= first <= first + size - 1 <= reached_high, f"{segment} is outside what {masters[0]} reaches"
        if self.settings[slave_cell][0] in VENDOR_CELLS:
            assert low <= first <= first + size - 1 <= high, f"{segment} is not at its own address"
        assert (space, segment) not in self.addresses
        self.addresses[space, segment] = (first, size)
