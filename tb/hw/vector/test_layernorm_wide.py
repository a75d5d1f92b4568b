"""Norms of nearly the greatest width, the only ones whose normalised values saturate."""

import cocotb
import numpy as np
import pytest

from golden.layernorm import NORMAL_HIGH, normalise
from tb.hw.vector.test_layernorm import Bench, Observed
from tb.lib.harness import SIMULATORS, parameters, simulate, start_clock


@cocotb.test()
async def normalised_values_saturate(dut):
    bench = Bench(dut, 0.0, np.random.default_rng(1))
    await start_clock(dut)
    await bench.fill(1)
    groups = parameters()["row_columns"] // bench.lanes
    seen = []
    # Rows of one value and one outlier: of a small deviation, which the rounding of the mean is large beside.
    for value, outlier, columns in [(32766, -1, 4093), (0, 1, 4095), (-32766, 1, 4093)]:
        # Each row is a step of at most 16 bits from the one before, which the residual stream keeps.
        x = np.full((1, groups * bench.lanes), value)
        x[0, bench.rng.integers(columns)] += outlier
        before = bench.model.residual[:groups].reshape(1, -1)
        job = bench.job(
            1, groups, x - before, columns=columns, rms=0, epsilon=1, residual_base=0,
            keep_sum=1, code_shift=24, low=-256, high=255,
        )  # fmt: skip
        seen.append(normalise(x[:, :columns], 1))
        await bench.check(job)
    assert max(normal.max() for normal in seen) == NORMAL_HIGH
    assert min(normal.min() for normal in seen) == -NORMAL_HIGH - 1


@pytest.mark.parametrize("simulator", SIMULATORS)
def test_layernorm_of_wide_rows(simulator):
    lanes, row_columns, axi_bits, norm_depth = 8, 4096, 128, 512
    simulate(
        Observed(lanes, row_columns, axi_bits, norm_depth), __name__, simulator,
        parameters={"lanes": lanes, "row_columns": row_columns, "axi_bits": axi_bits, "norm_depth": norm_depth},
    )  # fmt: skip
