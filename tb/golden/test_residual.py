"""The residual stream saturates and counts."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from golden.residual import add_residual
from tb.golden.strategies import integers

shapes = st.tuples(st.integers(1, 5), st.integers(1, 9))


@given(st.data(), shapes)
def test_sums_saturate_at_16_bits_and_every_saturation_counts(data, shape):
    a, b = (data.draw(integers(16, shape)) for _ in range(2))
    total, saturated = add_residual(a, b)
    exact = [x + y for x, y in zip(a.ravel().tolist(), b.ravel().tolist(), strict=True)]
    expected = [max(-32768, min(32767, x)) for x in exact]
    assert total.ravel().tolist() == expected
    assert saturated == sum(x != y for x, y in zip(exact, expected, strict=True))


def test_the_extremes_themselves_are_no_saturation():
    total, saturated = add_residual(np.array([[32000, -32000]]), np.array([[767, -768]]))
    assert total.tolist() == [[32767, -32768]]
    assert saturated == 0
