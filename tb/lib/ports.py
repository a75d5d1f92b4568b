"""Plain ports, a value a cycle: for units that take and give without a handshake."""

from cocotb.triggers import RisingEdge


async def play(dut, inputs, outputs, settle=0):
    """Apply values to ports, one a cycle, and record other ports.

    Parameters
    ----------
    inputs : dict
        Sequence of n integers for each port, by its name.
    outputs : list of names
    settle : int
        Cycles to go on for, with the last inputs held.

    Returns
    -------
    dict of lists
        For each output n + ``settle`` integers: item t is what it shows while item t of the inputs is applied, None where
        it is undefined.
    """
    edge = RisingEdge(dut.clk)
    driven = [(getattr(dut, name), [int(value) for value in values]) for name, values in inputs.items()]
    recorded = [(getattr(dut, name), []) for name in outputs]
    length = len(driven[0][1])
    assert all(len(values) == length for _, values in driven), {name: len(values) for name, values in inputs.items()}
    for cycle in range(length + settle):
        if cycle < length:
            for port, values in driven:
                port.value = values[cycle]
        await edge
        for port, seen in recorded:
            seen.append(number(port))
    return {name: seen for name, (_, seen) in zip(outputs, recorded)}


def number(port):
    """What a port shows, as a non-negative integer; None if any bit is undefined."""
    value = port.value
    return int(value) if value.is_resolvable else None
