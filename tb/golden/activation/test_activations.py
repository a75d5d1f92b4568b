"""Activations are the clip of a rescale, and a linear layer says its own by its codes."""

import numpy as np
import pytest

from golden.activation.kinds import ACTIVATION_KINDS
from golden.codes import Kind
from golden.model import Activation, Format, Linear, Requantization

FORMATS = [Format(Kind.BIPOLAR, 1), Format(Kind.SIGNED, 3), Format(Kind.UNSIGNED, 1), Format(Kind.UNSIGNED, 3), None]


def layer(output):
    constants = Requantization(np.array([1]), np.array([0]), 0)
    return Linear(np.zeros((1, 1), np.int64), Format(Kind.BIPOLAR, 1), constants, output)


@pytest.mark.parametrize("output", FORMATS)
def test_the_activation_of_a_layer_uses_its_codes_whole(output):
    low, high = output.range if output else (-(1 << 15), (1 << 15) - 1)
    made = layer(output)
    kind = ACTIVATION_KINDS[made.activation]
    assert (made.activation is Activation.RELU) == (output is not None and output.kind is Kind.UNSIGNED)
    assert kind.bounds(output) == (low, high)
    assert kind.results(np.array([[low - 1, 0, high + 1]]), made).tolist() == [[low, 0, high]]
    assert output is None or kind.code_format(output) == output


def test_the_relu_clips_signed_codes_at_0_and_makes_unsigned_ones():
    relu = ACTIVATION_KINDS[Activation.RELU]
    assert relu.bounds(Format(Kind.SIGNED, 4)) == (0, 7)
    assert relu.bounds(None) == (0, (1 << 15) - 1)
    assert relu.code_format(Format(Kind.SIGNED, 4)) == Format(Kind.UNSIGNED, 4)
