"""What the properties of the reference are drawn from."""

import numpy as np
from hypothesis import strategies as st

from golden.codes import Kind
from golden.model import Format

formats = st.one_of(
    st.just(Format(Kind.BIPOLAR, 1)),
    st.builds(Format, st.sampled_from([Kind.UNSIGNED, Kind.SIGNED]), st.integers(1, 8)),
)
seeds = st.integers(0, 2**32 - 1)


@st.composite
def codes(draw, code_format, shape):
    """Codes of a format: random ones, or all the same extreme."""
    low, high = code_format.range
    fill = draw(st.sampled_from(["random", "low", "high"]))
    if fill == "random":
        return np.random.default_rng(draw(seeds)).integers(low, high + 1, shape, dtype=np.int64)
    return np.full(shape, low if fill == "low" else high, np.int64)


@st.composite
def integers(draw, bits, shape):
    """Signed integers of ``bits``: full range, small, or at the two ends of the range."""
    limit = 1 << (bits - 1)
    rng = np.random.default_rng(draw(seeds))
    match draw(st.sampled_from(["full", "small", "ends"])):
        case "full":
            return rng.integers(-limit, limit, shape, dtype=np.int64)
        case "small":
            return rng.integers(-3, 4, shape, dtype=np.int64)
        case _:
            return rng.choice(np.array([-limit, limit - 1], np.int64), shape)
