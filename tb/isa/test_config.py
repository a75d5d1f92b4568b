"""What cannot be built is refused with rule and value; what stands at a limit is not."""

from dataclasses import replace

import pytest

from isa.config import PRESETS, preset

SMALL = preset("small")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"rows": 0}, "rows must be at least 1, not 0"),
        ({"rows": 12}, "rows must be a power of two, not 12"),
        ({"dma_queue": 6}, "dma_queue must be a power of two, not 6"),
        ({"left_depth": 65537}, r"left_depth must be at most 65536 \(16-bit addresses\), not 65537"),
        ({"depth": 4}, r"depth must be at least 8 \(whole bytes\), not 4"),
        ({"columns": 64}, r"columns must be at most depth \(32\), not 64"),
        ({"drain": 8}, r"drain must be at least columns \(16\), not 8"),
        ({"drain": 512}, r"drain must be at most columns \* min\(rows, columns\) = 256, not 512"),
        ({"row_lanes": 32}, r"row_lanes must be in 2..columns \(16\), not 32"),
        ({"row_lanes": 1}, r"row_lanes must be in 2..columns \(16\), not 1"),
        ({"row_columns": 500}, r"row_columns must be a multiple of depth \(32\), not 500"),
        ({"axi_bits": 16, "depth": 16}, "axi_bits must be in 32..128 .*, not 16"),
        ({"axi_bits": 32, "depth": 64}, "axi_bits must be in 64..128 .*, not 32"),
        ({"axi_bits": 256}, "axi_bits must be in 32..128 .*, not 256"),
        ({"dma_queue": 1}, "dma_queue must be in 2..64, not 1"),
        ({"accumulator_bits": 33}, "accumulator_bits must be in 16..32, not 33"),
        ({"accumulator_bits": 15}, "accumulator_bits must be in 16..32, not 15"),
    ],
    ids=str,
)
def test_a_configuration_that_cannot_be_built_is_refused(changes, words):
    with pytest.raises(ValueError, match=f"^{words}$"):
        replace(SMALL, **changes)


@pytest.mark.parametrize(
    "changes",
    [{"axi_bits": 32}, {"drain": 16}, {"drain": 256}, {"left_depth": 65536}, {"dma_queue": 2}, {"dma_queue": 64},
     {"accumulator_bits": 16}, {"accumulator_bits": 32}, {"row_lanes": 16}, {"row_lanes": 2, "axi_bits": 32}],
    ids=str,
)  # fmt: skip
def test_a_configuration_at_a_limit_is_not(changes):
    assert replace(SMALL, **changes).checksum != SMALL.checksum


def test_an_unknown_preset_is_refused_with_the_names_there_are():
    with pytest.raises(ValueError, match=rf"there is no preset 'huge'; choose one of {', '.join(PRESETS)}"):
        preset("huge")
