"""What cannot be built is refused with rule and value; what stands at a limit is not."""

from dataclasses import replace

import pytest

from isa.config import AcceleratorConfig, Uram
from isa.presets import PRESETS, preset
from tb.lib.words import naming

SMALL = preset("small")


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"rows": 0}, ("rows", "at least 1", 0)),
        ({"rows": 12}, ("rows", "power of two", 12)),
        ({"dma_queue": 6}, ("dma_queue", "power of two", 6)),
        ({"left_depth": 65537}, ("left_depth", "at most 65536", 65537)),
        ({"depth": 4}, ("depth", "at least 8", 4)),
        ({"columns": 64}, ("columns", "at most depth", 32, 64)),
        ({"drain": 8}, ("drain", "at least columns", 16, 8)),
        ({"drain": 512}, ("drain", "at most columns", 256, 512)),
        ({"row_lanes": 64}, ("row_lanes", "2..depth", 32, 64)),
        ({"row_lanes": 1}, ("row_lanes", "2..depth", 32, 1)),
        ({"row_columns": 500}, ("row_columns", "multiple of depth", 32, 500)),
        ({"axi_bits": 16, "depth": 16}, ("axi_bits", "32..128", 16)),
        ({"axi_bits": 32, "depth": 64}, ("axi_bits", "64..128", 32)),
        ({"axi_bits": 256}, ("axi_bits", "32..128", 256)),
        ({"dma_queue": 1}, ("dma_queue", "2..64", 1)),
        ({"accumulator_bits": 33}, ("accumulator_bits", "16..32", 33)),
        ({"accumulator_bits": 15}, ("accumulator_bits", "16..32", 15)),
        ({"uram": 16}, ("uram", "0..15", 16)),
        (
            {"uram": Uram.RIGHT, "columns": 4, "drain": 16, "row_lanes": 4, "axi_bits": 32},
            ("columns", "whole bytes", "uram", 4),
        ),
    ],
    ids=str,
)
def test_a_configuration_that_cannot_be_built_is_refused(changes, named):
    with pytest.raises(ValueError, match=naming(*named)):
        replace(SMALL, **changes)


@pytest.mark.parametrize(
    "changes",
    [{"axi_bits": 32}, {"drain": 16}, {"drain": 256}, {"left_depth": 65536}, {"dma_queue": 2}, {"dma_queue": 64},
     {"accumulator_bits": 16}, {"accumulator_bits": 32}, {"row_lanes": 32}, {"row_lanes": 2, "axi_bits": 32},
     {"uram": Uram.LEFT | Uram.ROW_BUFFER},
     {"uram": Uram.RESIDUAL, "columns": 4, "drain": 16, "row_lanes": 4, "axi_bits": 32}],
    ids=str,
)  # fmt: skip
def test_a_configuration_at_a_limit_is_not(changes):
    assert replace(SMALL, **changes).checksum != SMALL.checksum


def test_an_unknown_preset_is_refused_with_the_names_there_are():
    with pytest.raises(ValueError, match=naming("'huge'", *PRESETS)):
        preset("huge")


def test_memories_of_ultraram_are_named_and_kept_as_a_number():
    config = replace(SMALL, uram=Uram.named("left+row_buffer"))
    assert config.uram == Uram.LEFT | Uram.ROW_BUFFER
    assert AcceleratorConfig(**vars(config) | {"uram": 9}) == config
    assert Uram.named("none") == Uram.NONE == SMALL.uram
    with pytest.raises(ValueError, match=naming("left, right, residual, row_buffer", "'rihgt'")):
        Uram.named("left+rihgt")
