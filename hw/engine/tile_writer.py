"""Tile writer: drained groups to where their instruction wants them - operand memory, plane by plane, or row buffer."""

from functools import reduce
from operator import or_
from typing import Any

from amaranth import Cat, Module, Mux, Signal, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from golden.codes import MAX_BITS
from hw.engine.operand_memory import OperandMemory
from hw.engine.tile import ADDRESS_BITS, drained_layout, tile_layout
from hw.lib.pipeline import beyond, log2
from hw.lib.stream_queue import StreamQueue
from isa.instruction import Destination


def row_group_layout(drain_rows, columns, groups):
    """A drained group on its way to the row buffer."""
    return data.StructLayout(
        {
            "values": data.ArrayLayout(signed(16), drain_rows * columns),
            "column_tile": 12,
            "group": range(max(groups, 2)),
            "last": 1,
        }
    )


def drain_write_layout(depth, banks, width, drain_rows, columns):
    """A write of C bits to each of G neighbouring banks of an operand memory."""
    return data.StructLayout(
        {
            "address": range(depth),
            "bank": range(banks),
            "column": range(max(width // columns, 2)),
            "data": drain_rows * columns,
        }
    )


class TileWriter(wiring.Component):
    """Routes groups; the bits of a code go one plane a cycle.

    Parameters
    ----------
    rows, columns, depth, drain_rows : int
        R, C, K, G.
    left_depth, right_depth, tiles : int

    Members
    -------
    i_tile : In(stream);  i : In(stream)
        Descriptors, R / G cycles apart, and groups as `Drain` gives them.
    o_left, o_right : Out(stream);  o_rows : Out(stream)
    tile_done : Out(1)
        The last group of a tile was taken.
    done : Out(1)
        The last write of an instruction is in memory.
    stalled : Out(1)
        A group waits for its destination.
    error : Out(1)
        An address is outside its memory, or the group says that its constants' address is. Nothing is written from then on;
        the instruction is the oldest that is not ``done``.
    """

    def __init__(self, rows: int, columns: int, depth: int, drain_rows: int, left_depth: int, right_depth: int, tiles: int):
        self.rows, self.columns, self.depth, self.drain_rows = rows, columns, depth, drain_rows
        self.left_depth, self.right_depth, self.tiles = left_depth, right_depth, tiles
        self.groups = rows // drain_rows
        super().__init__(
            {
                "i_tile": In(stream.Signature(tile_layout(columns))),
                "i": In(stream.Signature(drained_layout(drain_rows, columns))),
                "o_left": Out(stream.Signature(drain_write_layout(left_depth, rows, depth, drain_rows, columns))),
                "o_right": Out(stream.Signature(drain_write_layout(right_depth, columns, depth, drain_rows, columns))),
                "o_rows": Out(stream.Signature(row_group_layout(drain_rows, columns, self.groups))),
                "tile_done": Out(1),
                "done": Out(1),
                "stalled": Out(1),
                "error": Out(1),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        layout = tile_layout(self.columns)
        m.submodules.tiles = tiles = StreamQueue(layout, self.tiles)
        connect(m, flipped(self.i_tile), tiles.i)
        tile = tiles.o.p

        group = Signal(range(max(self.groups, 2)))
        plane = Signal(3)
        offset = Signal(ADDRESS_BITS)  # of the plane, and on the right of the group's tile of C rows
        tile_offset = Signal(ADDRESS_BITS)
        # A bit each: the sequencer lets out no other destination.
        to_rows, to_right = (tile.destination & kind.value != 0 for kind in (Destination.ROWS, Destination.RIGHT))
        last_plane = plane == tile.last_plane
        last_group = group == self.groups - 1

        # Codes: one request register in front of both memories. Rows: straight through, after the last request has left,
        # so that instructions end one after the other.
        request = Signal(
            drain_write_layout(1 << ADDRESS_BITS, max(self.rows, self.columns), self.depth, self.drain_rows, self.columns)
        )
        requested, request_left, request_right, request_last = Signal(), Signal(), Signal(), Signal()
        finishing = Signal(OperandMemory.write_latency)
        # An address outside its memory: that request is not made, and stays, so that none follows.
        outside = Signal()
        released = (request_left & self.o_left.ready) | (request_right & self.o_right.ready)
        free = ~requested | released
        lanes = self.drain_rows * self.columns
        planes = [Cat(self.i.p.values[lane][p] for lane in range(lanes)) for p in range(MAX_BITS)]
        chosen = [Signal(lanes, name=f"plane{p}") for p in range(MAX_BITS)]
        m.d.comb += [
            self.o_left.valid.eq(request_left),
            self.o_right.valid.eq(request_right),
        ]
        for memory in (self.o_left, self.o_right):
            m.d.comb += [memory.p[name].eq(request[name]) for name in ("address", "bank", "column")]
            m.d.comb += memory.p.data.eq(reduce(or_, chosen))

        bad = self.i.valid & self.i.p.error
        m.d.comb += self.error.eq((outside | (bad & ~requested)) & ~finishing.any())
        # Whether what comes may pass does not depend on its being there: the drain's buffer hears of it late.
        takes = tiles.o.valid & ~self.i.p.error & Mux(to_rows, ~requested & self.o_rows.ready, free)
        step = Signal()
        m.d.comb += [
            self.o_rows.valid.eq(self.i.valid & tiles.o.valid & ~self.i.p.error & to_rows & ~requested),
            self.o_rows.p.values.eq(self.i.p.values),
            self.o_rows.p.column_tile.eq(tile.column_tile),
            self.o_rows.p.group.eq(group),
            self.o_rows.p.last.eq(last_group & tile.last_column),
            self.i.ready.eq(takes & last_plane),
            step.eq(self.i.valid & takes),
            self.stalled.eq(self.i.valid & tiles.o.valid & ~self.i.p.error & ~outside & ~takes),
            tiles.o.ready.eq(self.i.valid & takes & last_plane & last_group),
            self.tile_done.eq(tiles.o.ready),
        ]
        with m.If(released):
            m.d.sync += [requested.eq(0), request_left.eq(0), request_right.eq(0), request_last.eq(0)]
        with m.If(step):
            with m.If(last_plane):
                next_offset = self._next_tile_offset(tile, group, tile_offset, last_group, to_right)
                m.d.sync += [plane.eq(0), group.eq(Mux(last_group, 0, group + 1))]
                m.d.sync += [tile_offset.eq(next_offset), offset.eq(next_offset)]
            with m.Else():
                m.d.sync += [plane.eq(plane + 1), offset.eq(offset + tile.plane)]
            with m.If(~to_rows):
                address = tile.address + offset
                too_far = Mux(to_right, beyond(address, self.right_depth), beyond(address, self.left_depth))
                m.d.sync += [
                    requested.eq(1),
                    request_left.eq(~to_right & ~too_far),
                    request_right.eq(to_right & ~too_far),
                    outside.eq(too_far),
                    request_last.eq(last_plane & last_group & tile.last),
                    request.address.eq(address),
                    request.bank.eq(Mux(to_right, tile.bank, 0) + (group << log2(self.drain_rows))),
                    request.column.eq(tile.column),
                ]

        # Of a request all planes but one are reset: an OR in place of a multiplexer, two LUTs a lane and not three.
        for p, bits in enumerate(planes):
            with m.If(step & (plane != p)):
                m.d.sync += chosen[p].eq(0)
            with m.Elif(step):
                m.d.sync += chosen[p].eq(bits)

        # Completed means in memory: what starts then may read it.
        finished = (released & request_last) | (self.tile_done & to_rows & tile.last)
        m.d.sync += finishing.eq((finishing << 1) | finished)
        m.d.comb += self.done.eq(finishing[-1])
        return m

    def _next_tile_offset(self, tile, group, tile_offset, last_group, to_right):
        """Where R > C a row tile spans several tiles of C rows on the right."""
        if self.rows <= self.columns:
            return 0
        share = self.columns // self.drain_rows
        step = to_right & ((group & (share - 1)) == share - 1)
        return Mux(last_group, 0, tile_offset + Mux(step, tile.tile, 0))
