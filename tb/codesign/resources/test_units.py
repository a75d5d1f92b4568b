"""A design splits into units that depend on their own parameters only."""

from dataclasses import replace

import pytest

from codesign.resources.units import split
from hw.emit import emit
from hw.top import Top
from isa.presets import preset

TINY = preset("tiny")


@pytest.fixture(scope="module")
def verilog():
    return emit(Top(TINY), "bittern")


@pytest.fixture(scope="module")
def units(verilog):
    return split(verilog)


def by_name(units):
    return {unit.name: unit for unit in units}


def test_every_unit_is_named_once_and_occurs(units):
    assert len(by_name(units)) == len(units)
    assert all(unit.count >= 1 for unit in units)
    assert {"top", "core", "core.qmm", "core.qmm.array", "core.rows.softmax", "scheduler"} <= set(by_name(units))


def test_shared_units_are_counted_where_they_are_instantiated(units):
    counts = {unit.name.partition("_")[0]: unit.count for unit in units}
    assert counts["bank"] == TINY.rows + TINY.columns
    assert counts["dpu"] == TINY.rows * TINY.columns
    assert counts["border"] == TINY.rows + TINY.columns


def test_a_unit_holds_what_is_below_it_and_only_the_ports_of_other_units(units):
    scheduler, engine = by_name(units)["scheduler"], by_name(units)["core.qmm"]
    assert "\\bittern.scheduler.fetch" in scheduler.modules
    assert scheduler.inner == {}
    assert "input" in engine.inner["\\bittern.core.qmm.array"]
    assert "always" not in engine.inner["\\bittern.core.qmm.array"]


def test_a_whole_design_is_one_unit(verilog):
    whole = split(verilog, whole=True)
    assert [(unit.name, unit.count) for unit in whole] == [("top", 1)]
    assert whole[0].inner == {}


def test_below_the_array_only_its_units_count(verilog):
    below = split(verilog, root="\\bittern.core.qmm.array")
    assert {unit.name.partition("_")[0] for unit in below} == {"core.qmm.array", "dpu", "border", "copy"}


def test_a_unit_does_not_change_with_what_is_beside_it(units):
    """Or else nothing would be found in the cache after a change anywhere."""
    other = by_name(split(emit(Top(replace(TINY, constant_depth=128)), "bittern")))
    changed = {name for name, unit in by_name(units).items() if other[name].verilog != unit.verilog}
    assert "core.qmm.drain" in changed
    # The control knows a checksum of all sizes.
    around = {"core.qmm", "core", "core.qmm.sequencer", "core.dma", "core.qmm.writer", "top"}
    assert changed <= {"control", "core.qmm.drain"} | around
