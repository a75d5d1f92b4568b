"""Rows of numbers as the elements of `hw.vector.row_stream`, and back."""

import numpy as np
from cocotb.triggers import RisingEdge


def _framing(rows, groups):
    group = np.tile(np.arange(groups), rows)
    row, last = np.repeat(np.arange(rows), groups), group == groups - 1
    return {"row": row, "group": group, "last": last, "ends": last & (row == rows - 1)}


def to_elements(values, lanes):
    """Batch of `row_element` for ``values`` (rows, columns); columns a multiple of ``lanes``."""
    rows, columns = values.shape
    framing = _framing(rows, columns // lanes)
    return {"values": values.reshape(-1, lanes), "first": framing["group"] == 0, **framing}


def from_elements(batch, rows):
    """``(rows, columns)`` of a whole batch of `row_element` or `code_element`; asserts the framing."""
    content = batch["codes"] if "codes" in batch else batch["values"]
    framing = _framing(rows, len(content) // rows)
    for name, expected in framing.items():
        assert (batch[name] == expected).all(), f"wrong {name}"
    assert "first" not in batch or (batch["first"] == (framing["group"] == 0)).all(), "wrong first"
    return content.reshape(rows, -1)


def stacked(batches):
    """One batch of several."""
    return {name: np.concatenate([batch[name] for batch in batches]) for name in batches[0]}


async def cycles_of_rows(dut, rows):
    """The cycles, counted from now, in which stream ``o`` of `code_element` passes the last element of ``rows`` rows."""
    ends, cycle, last = [], 0, len(dut.o__payload) - 2
    while len(ends) < rows:
        await RisingEdge(dut.clk)
        cycle += 1
        if dut.o__valid.value and dut.o__ready.value and int(dut.o__payload.value) >> last & 1:
            ends.append(cycle)
    return np.array(ends)
