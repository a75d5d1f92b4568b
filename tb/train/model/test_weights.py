"""Weights to values: each formula against one written down another way."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

torch = pytest.importorskip("torch", reason="training needs the extra 'train'")

from golden.codes import Kind, values  # noqa: E402
from golden.model import Format  # noqa: E402
from train.model.linear import QuantizedLinear, QuantizedTable  # noqa: E402
from train.model.precision import BINARY, TERNARY, Weights, WeightScheme  # noqa: E402
from train.model.weights import binary, integer, mean, ternary  # noqa: E402

MATRICES = arrays.arrays(np.float64, (4, 6), elements=st.floats(-3, 3).filter(lambda x: x == 0 or abs(x) > 1e-3))


def slow_ternary(weight, counts):
    """TWN of one row of numbers, by loops."""
    threshold = 0.7 * sum(c * abs(w) for w, c in zip(weight, counts)) / sum(counts)
    chosen = [i for i, w in enumerate(weight) if abs(w) > threshold]
    scale = sum(counts[i] * abs(weight[i]) for i in chosen) / sum(counts[i] for i in chosen) if chosen else 0
    return [math.copysign(1, w) if i in chosen else 0 for i, w in enumerate(weight)], scale


@given(MATRICES)
@settings(deadline=None, max_examples=60)
def test_ternary_weights_are_those_of_the_equations_per_matrix_and_per_row(matrix):
    weight = torch.from_numpy(matrix)
    found, scale = ternary(weight)
    expected, expected_scale = slow_ternary(matrix.ravel().tolist(), [1] * matrix.size)
    assert found.ravel().tolist() == expected
    assert math.isclose(scale, expected_scale, rel_tol=1e-9, abs_tol=1e-7)
    found, scale = ternary(weight, 1)
    for row, mine, one in zip(matrix.tolist(), found.tolist(), scale.ravel().tolist(), strict=True):
        expected, expected_scale = slow_ternary(row, [1] * len(row))
        assert mine == expected
        assert math.isclose(one, expected_scale, rel_tol=1e-9, abs_tol=1e-7)


def test_importance_of_a_whole_number_is_that_many_copies_of_the_weight():
    rng = np.random.default_rng(3)
    matrix, counts = rng.normal(size=(5, 20)), rng.integers(1, 6, (5, 20))
    found, scale = ternary(torch.from_numpy(matrix), None, torch.from_numpy(counts).double())
    copies = np.repeat(matrix.ravel(), counts.ravel())
    expected, expected_scale = ternary(torch.from_numpy(copies[None]))
    assert math.isclose(scale, expected_scale, rel_tol=1e-12)
    assert np.array_equal(np.repeat(found.numpy().ravel(), counts.ravel()), expected.numpy().ravel())


def test_the_weighted_scale_is_the_best_for_the_chosen_weights():
    generator = torch.Generator().manual_seed(0)
    weight = torch.randn(6, 30, generator=generator, dtype=torch.float64)
    counts = torch.rand(6, 30, generator=generator, dtype=torch.float64) + 0.1
    found, scale = ternary(weight, 1, counts)

    def error(factor):
        return (counts * (weight - found * scale * factor) ** 2).sum(1)

    assert (error(1.0) < error(1.001)).all()
    assert (error(1.0) < error(0.999)).all()


def test_binary_weights_per_row_have_the_mean_magnitude_of_the_row():
    weight = torch.tensor([[0.5, 0.05, -0.1], [2.0, -4.0, 3.0]])
    found, scale = binary(weight, 1)
    assert found.tolist() == [[1, -1, -1], [1, -1, 1]]
    assert torch.allclose(scale, torch.tensor([[0.65 / 3], [3.0]]))


def test_integer_weights_reach_the_largest_code_and_lie_half_a_step_away_at_most():
    weight = torch.randn(7, 9, generator=torch.Generator().manual_seed(1))
    codes, scale = integer(weight, 8)
    assert codes.abs().max() == 127
    assert ((codes * scale - weight).abs() <= scale / 2 + 1e-7).all()


def test_the_mean_counts_each_element_as_often_as_it_says():
    x = torch.tensor([[1.0, 2.0], [3.0, 10.0]])
    assert mean(x, None, torch.tensor([[1.0, 1.0], [2.0, 0.0]])).item() == 9 / 4
    assert mean(x, 0, torch.tensor([[3.0, 1.0], [1.0, 1.0]])).tolist() == [[1.5, 6.0]]


SCHEMES = [
    WeightScheme(), WeightScheme(per_channel=True), WeightScheme(Weights.TERNARY),
    WeightScheme(Weights.TERNARY, per_channel=True, weighted=True), WeightScheme(Weights.SPLIT),
    WeightScheme(Weights.SPLIT, per_channel=True, weighted=True, trained_scale=True), Format(Kind.SIGNED, 8),
]  # fmt: skip


@pytest.mark.parametrize("scheme", SCHEMES)
def test_the_operand_of_a_layer_is_the_matrix_it_multiplies_by(scheme):
    torch.manual_seed(2)
    layer = QuantizedLinear(24, 7, scheme)
    operand = layer.operand()
    exact = values(operand.codes, operand.format.kind) * operand.scale[:, None]
    assert np.allclose(exact, layer.quantized().detach().numpy(), rtol=1e-5, atol=1e-7)
    low, high = operand.format.range
    assert low <= operand.codes.min() <= operand.codes.max() <= high
    assert (operand.scale > 0).all()
    x = torch.randn(3, 24)
    assert torch.allclose(layer(x), x @ torch.from_numpy(exact).float().T + layer.bias, atol=1e-5)


@pytest.mark.parametrize("scheme", [WeightScheme(Weights.TERNARY), WeightScheme(per_channel=True), Format(Kind.SIGNED, 8)])
def test_the_gradient_passes_straight_to_the_real_weights_between_minus_1_and_1(scheme):
    layer = QuantizedLinear(3, 2, scheme)
    layer.weight.data = torch.tensor([[0.9, -1.5, 0.1], [-0.2, 0.3, 1.1]])
    layer(torch.tensor([[1.0, 2.0, 3.0]])).sum().backward()
    assert layer.weight.grad.tolist() == [[1, 0, 3], [1, 2, 0]]


@pytest.mark.parametrize("code_format", [BINARY, Format(Kind.SIGNED, 4), Format(Kind.SIGNED, 8)])
def test_a_table_looks_up_the_rows_of_its_operand(code_format):
    torch.manual_seed(3)
    table = QuantizedTable(10, 6, code_format)
    table.bias.data.normal_()
    operand = table.operand()
    rows = values(operand.codes, operand.format.kind) * operand.scale + table.bias.detach().numpy()
    ids = torch.tensor([[3, 9, 0]])
    assert np.allclose(table(ids).detach().numpy(), rows[ids.numpy()], atol=1e-6)
    table(ids).sum().backward()
    assert table.weight.grad.abs().sum(1).nonzero().ravel().tolist() == [0, 3, 9]


@pytest.mark.parametrize("code_format", [BINARY, Format(Kind.SIGNED, 8)])
def test_looking_up_rows_gives_the_bits_of_quantizing_the_whole_table_first(code_format):
    torch.manual_seed(4)
    table = QuantizedTable(40, 6, code_format)
    table.weight.data.mul_(2.0)
    ids = torch.tensor([[3, 9, 0, 3], [9, 3, 17, 39]])
    upstream = torch.randn(2, 4, 6)
    found = table(ids)
    found.backward(upstream)
    real = table.weight.detach()
    values, scale = binary(real, 0) if code_format is BINARY else integer(real, 8)
    assert torch.equal(found, (values * scale)[ids] + table.bias)
    expected = torch.zeros(40, 6).index_add_(0, ids.reshape(-1), upstream.reshape(-1, 6))
    assert ((real.abs() > 1) & (expected != 0)).any()
    assert torch.equal(table.weight.grad, torch.where(real.abs() < 1, expected, 0.0))


def test_ternary_operands_are_two_bit_codes_of_three_values():
    layer = QuantizedLinear(50, 20, WeightScheme(Weights.TERNARY))
    operand = layer.operand()
    assert operand.format == TERNARY
    assert sorted(set(operand.codes.ravel().tolist())) == [-1, 0, 1]
