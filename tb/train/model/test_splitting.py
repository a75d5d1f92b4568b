"""Ternary weight splitting: its identities, its gradients, and what the hardware runs of it."""

import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

torch = pytest.importorskip("torch", reason="training needs the extra 'train'")

from golden.codes import Kind, values  # noqa: E402
from golden.model import Format  # noqa: E402
from golden.qmm import product, qmm  # noqa: E402
from train.model.linear import QuantizedLinear  # noqa: E402
from train.model.precision import BINARY, TERNARY, Weights, WeightScheme  # noqa: E402
from train.model.quantizers import sign  # noqa: E402
from train.model.split_weight import RATIOS, SplitWeight  # noqa: E402
from train.model.splitting import MARGIN, scale_of, split  # noqa: E402
from train.model.weights import ternary  # noqa: E402

NUMBERS = st.floats(-2, 2).filter(lambda x: x == 0 or abs(x) > 1e-3)
MATRICES = arrays.arrays(np.float64, (3, 8), elements=NUMBERS)
IMPORTANCES = arrays.arrays(np.float64, (3, 8), elements=st.floats(0.125, 8))
AXES = st.sampled_from([None, 1])


def slow_share(weight, counts):
    """The a and b of the equations, by loops over one list of weights, and the mean magnitude of the chosen ones."""
    threshold = 0.7 * sum(c * abs(w) for w, c in zip(weight, counts)) / sum(counts)
    sums, sizes = dict.fromkeys("IJK", 0.0), dict.fromkeys("IJK", 0.0)
    for w, c in zip(weight, counts):
        part = "I" if abs(w) > threshold else "J" if w > 0 else "K"
        sums[part] += c * abs(w)
        sizes[part] += c
    a = (sums["I"] + sums["K"] - sums["J"]) / (2 * sums["I"])
    zeros = sizes["J"] + sizes["K"]
    b = (sum(sizes.values()) / sizes["I"] * sums["I"] - sum(sums.values())) / (2 * zeros) if zeros else 0.0
    return a, b, threshold


@given(MATRICES, IMPORTANCES, AXES, st.booleans())
@settings(deadline=None, max_examples=200)
def test_the_halves_add_up_and_their_signs_are_the_ternary_value(matrix, counts, axis, weighted):
    assume((np.abs(matrix).sum(1) > 0).all())
    weight, h = torch.from_numpy(matrix), torch.from_numpy(counts) if weighted else None
    parts = split(weight, axis, h)
    codes, alpha = ternary(weight, axis, h)
    assert torch.allclose(parts.first + parts.second, weight, atol=1e-6)
    halves = parts.scale * sign(parts.first) + parts.scale * sign(parts.second)
    assert torch.allclose(halves, codes * alpha, atol=1e-6)
    assert torch.allclose(parts.scale * 2, alpha)


@pytest.mark.parametrize("side", [1.0, -1.0])
def test_halves_keep_their_signs_where_small_weights_outweigh_the_large_one(side):
    """S_J or S_K is larger than S_I, so that a is outside 0 .. 1 and is clipped."""
    weight = torch.tensor([[8.0] + [side] * 10], dtype=torch.float64)
    parts = split(weight)
    assert (sign(parts.first) + sign(parts.second)).tolist() == [[2.0] + [0.0] * 10]
    assert float(parts.first[0, 0]) == pytest.approx(8 * (MARGIN if side > 0 else 1 - MARGIN))
    assert torch.allclose(parts.first + parts.second, weight)


@given(MATRICES, IMPORTANCES, AXES, st.booleans())
@settings(deadline=None, max_examples=200)
def test_each_half_has_half_the_scale_as_its_mean_magnitude(matrix, counts, axis, weighted):
    rows = [matrix.ravel()] if axis is None else list(matrix)
    row_counts = [counts.ravel()] if axis is None else list(counts)
    for row, count in zip(rows, row_counts, strict=True):
        assume(np.abs(row).sum() > 0)
        a, _, threshold = slow_share(row.tolist(), count.tolist() if weighted else [1.0] * len(row))
        assume(MARGIN < a < 1 - MARGIN)
        assume((np.abs(row) <= threshold).any())
    weight, h = torch.from_numpy(matrix), torch.from_numpy(counts) if weighted else None
    parts = split(weight, axis, h)
    h = torch.ones_like(weight) if h is None else h
    axes = (0, 1) if axis is None else axis
    for half in (parts.first, parts.second):
        magnitude = (h * half.abs()).sum(axes, keepdim=axis is not None) / h.sum(axes, keepdim=axis is not None)
        assert torch.allclose(magnitude, parts.scale, atol=1e-6)
    assert torch.allclose(scale_of(parts.first, parts.second, axis, h), parts.scale, atol=1e-6)


@given(arrays.arrays(np.float64, 9, elements=NUMBERS), arrays.arrays(np.float64, 9, elements=st.floats(0.125, 8)))
@settings(deadline=None, max_examples=100)
def test_the_split_is_that_of_the_equations_element_by_element(row, counts):
    assume(np.abs(row).sum() > 0)
    a, b, threshold = slow_share(row.tolist(), counts.tolist())
    assume(MARGIN < a < 1 - MARGIN)
    first = split(torch.from_numpy(row[None]), None, torch.from_numpy(counts[None])).first[0].tolist()
    expected = [a * w if abs(w) > threshold else w + b if w > 0 else b for w in row.tolist()]
    assert np.allclose(first, expected, atol=1e-6)


def test_equal_importance_is_plain_ternary_weight_splitting():
    weight = torch.randn(8, 30, generator=torch.Generator().manual_seed(1))
    plain, weighted = split(weight), split(weight, None, torch.full_like(weight, 3.0))
    assert torch.allclose(plain.first, weighted.first, atol=1e-6)
    assert torch.allclose(plain.scale, weighted.scale)


def make(free=False, trained=True, per_channel=True, shape=(4, 6)):
    torch.manual_seed(5)
    scheme = WeightScheme(Weights.SPLIT, per_channel=per_channel, trained_scale=trained, free=free)
    halves = SplitWeight(shape[0], shape[1], scheme)
    halves.split_from(torch.randn(shape))
    return halves


def test_halves_get_the_gradient_of_their_sum_inside_minus_1_and_1_and_scales_that_of_lsq():
    halves = make()
    halves.first.data[0, 0], halves.second.data[1, 1] = 1.5, -1.2
    g = torch.randn(4, 6, generator=torch.Generator().manual_seed(6))
    (halves() * g).sum().backward()
    assert torch.equal(halves.first.grad, g * (halves.first.abs() < 1))
    assert torch.equal(halves.second.grad, g * (halves.second.abs() < 1))
    signs = (sign(halves.first) + sign(halves.second)).detach()
    assert torch.allclose(halves.scale.grad, (g * signs).sum(1, keepdim=True) / math.sqrt(6), atol=1e-6)


@pytest.mark.parametrize("per_channel", [False, True])
def test_gradients_by_scale_and_ratio_are_finite_differences_over_the_root_of_the_weights_that_share_them(per_channel):
    halves = make(free=True, per_channel=per_channel).double()
    g = torch.randn(4, 6, generator=torch.Generator().manual_seed(7), dtype=torch.float64)
    (halves() * g).sum().backward()
    signs = sign(halves.first).detach(), sign(halves.second).detach()
    shared = 6 if per_channel else 24

    def value(scale, ratio):
        """What `halves` gives, where its ratio is not rounded."""
        return (g * (signs[0] * scale * 2 * ratio / (1 + ratio) + signs[1] * scale * 2 / (1 + ratio))).sum().item()

    scale, step = halves.scale.detach(), 1e-5
    slope = (value(scale, 1 + step) - value(scale, 1 - step)) / (2 * step)
    assert math.isclose(halves.ratio.grad.item(), slope / math.sqrt(shared), rel_tol=1e-6)
    moved = torch.zeros_like(scale)
    moved.view(-1)[0] = step
    slope = (value(scale + moved, 1.0) - value(scale - moved, 1.0)) / (2 * step)
    assert math.isclose(halves.scale.grad.view(-1)[0].item(), slope / math.sqrt(shared), rel_tol=1e-6)


@pytest.mark.parametrize("ratio", [0.2, 1 / 3, 0.5, 0.75, 1.0, 1.3, 1.9, 2.2, 3.0, 9.0])
def test_whatever_the_ratio_trains_to_the_operand_is_the_sum_of_the_two_halves(ratio):
    halves = make(free=True)
    halves.ratio.data.fill_(ratio)
    codes, code_format, scale = halves.operand()
    assert torch.allclose(codes * scale, halves(), atol=1e-6)
    known = halves.nearest_ratio()
    assert min(RATIOS, key=lambda r: abs(math.log(r / ratio))) == known
    assert torch.equal(codes, codes.round())
    low, high = code_format.range
    assert low <= codes.min()
    assert codes.max() <= high
    assert code_format == (TERNARY if known == 1 else Format(Kind.SIGNED, 3))


def test_halves_that_agree_everywhere_are_one_binary_operand():
    halves = make()
    halves.second.data.copy_(halves.first.data)
    codes, code_format, scale = halves.operand()
    assert code_format == BINARY
    assert torch.allclose(codes * scale, halves(), atol=1e-6)


@pytest.mark.parametrize("left", [Format(Kind.BIPOLAR, 1), Format(Kind.UNSIGNED, 3), Format(Kind.SIGNED, 8)])
def test_one_ternary_operand_and_two_bipolar_ones_give_the_same_integers(left):
    halves = make(shape=(5, 40))
    layer = QuantizedLinear(40, 5, halves.scheme)
    layer.halves = halves
    operand = layer.operand()
    rng = np.random.default_rng(4)
    low, high = (0, 1) if left.kind is Kind.BIPOLAR else left.range
    x = rng.integers(low, high + 1, (7, 40))
    ternary_product = qmm(x, operand.codes, left.kind, left.bits, operand.format.kind, operand.format.bits)
    signs = [(half.detach().numpy() > 0).astype(np.int64) for half in (halves.first, halves.second)]
    two = sum(qmm(x, part, left.kind, left.bits, Kind.BIPOLAR, 1) for part in signs)
    assert np.array_equal(2 * ternary_product, two)
    assert np.array_equal(ternary_product, product(x, operand.codes, left.kind, Kind.SIGNED))
    assert set(values(operand.codes, operand.format.kind).ravel()) <= {-1, 0, 1}
