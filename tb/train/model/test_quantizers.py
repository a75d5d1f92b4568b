"""Elastic quantizers: values, straight-through gradients and the LSQ gradient of the step."""

import math

import pytest

torch = pytest.importorskip("torch", reason="training needs the extra 'train'")

from golden.codes import Kind  # noqa: E402
from golden.model import Format  # noqa: E402
from train.model.linear import QuantizedLinear  # noqa: E402
from train.model.precision import WeightScheme  # noqa: E402
from train.model.quantizers import Quantizer, grid  # noqa: E402
from train.model.weights import binary  # noqa: E402

FORMATS = [
    Format(Kind.BIPOLAR, 1), Format(Kind.UNSIGNED, 1), Format(Kind.UNSIGNED, 4), Format(Kind.SIGNED, 2),
    Format(Kind.SIGNED, 8),
]  # fmt: skip


def make_quantizer(code_format, alpha):
    quantizer = Quantizer(code_format)
    quantizer.alpha.data.fill_(alpha)
    quantizer.calibrated.fill_(True)
    return quantizer


def slow_code(x, alpha, code_format):
    """Value of the code, and the derivative of ``alpha * value`` by alpha, of one number."""
    if code_format.kind is Kind.BIPOLAR:
        sign = 1 if x >= 0 else -1
        return sign, sign
    low, high = code_format.range
    code = max(low, min(high, math.floor(x / alpha + 0.5)))
    return code, code - x / alpha if low <= x / alpha <= high else code


@pytest.mark.parametrize("code_format", FORMATS)
def test_values_and_gradients_are_those_of_the_equations(code_format):
    alpha = 0.25
    x = torch.linspace(-3.01, 6.02, 181, requires_grad=True)
    quantizer = make_quantizer(code_format, alpha)
    weights = torch.cos(torch.arange(181.0))
    y = quantizer(x)
    (y * weights).sum().backward()
    low, high = (-1, 1) if code_format.kind is Kind.BIPOLAR else code_format.range
    expected = [slow_code(v, alpha, code_format) for v in x.tolist()]
    assert torch.allclose(y, alpha * torch.tensor([float(code) for code, _ in expected]))
    inside = (x / alpha > low) & (x / alpha < high)
    assert torch.equal(x.grad, weights * inside)
    slope = sum(w * d for w, (_, d) in zip(weights.tolist(), expected, strict=True))
    assert math.isclose(quantizer.alpha.grad.item(), slope / math.sqrt(181 * max(high, 1)), rel_tol=1e-3, abs_tol=1e-4)


def test_the_first_batch_sets_the_step_from_its_mean_magnitude():
    x = torch.randn(1000, generator=torch.Generator().manual_seed(1))
    bipolar, signed = Quantizer(Format(Kind.BIPOLAR, 1)), Quantizer(Format(Kind.SIGNED, 4))
    bipolar(x), signed(x)
    assert math.isclose(bipolar.step, x.abs().mean(), rel_tol=1e-5)
    assert math.isclose(signed.step, 2 * x.abs().mean() / math.sqrt(7), rel_tol=1e-5)
    step = signed.step
    signed(10 * x)
    assert signed.step == step


def test_full_precision_passes_through():
    x = torch.randn(5)
    assert Quantizer(None, 5)(x) is x


def test_binary_weights_are_the_mean_magnitude_with_the_sign_about_the_mean():
    weight = torch.tensor([[0.5, 0.05], [0.25, -0.4]])
    values, scale = binary(weight)
    assert values.tolist() == [[1, -1], [1, -1]]
    assert math.isclose(scale, 0.3, rel_tol=1e-6)


def test_the_gradient_of_a_binary_weight_passes_straight_to_the_real_one():
    layer = QuantizedLinear(3, 2, WeightScheme())
    layer.weight.data.fill_(0.5)
    layer.weight.data[0, 0] = 1.5
    x = torch.tensor([[1.0, 2.0, 3.0]])
    layer(x).sum().backward()
    assert layer.weight.grad.tolist() == [[0, 2, 3], [1, 2, 3]]


def test_the_grid_rounds_half_up_and_clips_to_its_bits():
    x = torch.tensor([0.25, -0.25, 0.3, 100.0, -100.0])
    assert grid(x, 1, 4).tolist() == [0.5, 0.0, 0.5, 3.5, -4.0]
