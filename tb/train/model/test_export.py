"""A BMT in evaluation and its export compute the same: every tensor, in every structure."""

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs the extra 'train'")

from formats import bundle  # noqa: E402
from golden.codes import Kind  # noqa: E402
from golden.encoder import encode  # noqa: E402
from golden.layernorm import affine  # noqa: E402
from golden.model import Attention, Format, Head, Input, Order  # noqa: E402
from golden.rescale import rescale  # noqa: E402
from tb.train.encoders import CONFIG, random_model  # noqa: E402
from train.errors import ExportError  # noqa: E402
from train.integer.arithmetic import matmul  # noqa: E402
from train.integer.constants import integer_epsilon, norm_thresholds, reaches, to_codes  # noqa: E402
from train.model.bmt import BmtEncoder  # noqa: E402
from train.model.export import export_encoder  # noqa: E402
from train.model.precision import Weights, WeightScheme  # noqa: E402
from train.model.quantizers import Quantizer  # noqa: E402
from train.model.structure import NormKind, Pooler  # noqa: E402

TEXT = {"input": Input.TOKENS, "input_size": 40}
STRUCTURES: dict[str, tuple[int, dict]] = {
    "W1A1 of patches": (1, {}),
    "W1A4 of patches": (4, {}),
    "W1A1 of tokens": (1, TEXT),
    "W1A2 of tokens": (2, TEXT),
    "W1A8 with a class token": (8, {"head": Head.CLS, "layers": 1}),
    "pre-LN": (2, {"order": Order.PRE}),
    "pre-LN of tokens, 1 bit": (1, {"order": Order.PRE, **TEXT}),
    "RMSNorm": (4, {"norm": NormKind.RMS}),
    "RMSNorm, pre-LN, 1 bit": (1, {"norm": NormKind.RMS, "order": Order.PRE}),
    "thresholds": (1, {"attention": Attention.THRESHOLD}),
    "thresholds on 4 bits of tokens": (4, {"attention": Attention.THRESHOLD, **TEXT}),
    "tanh pooler on a class token": (2, {"pooler": Pooler.TANH, "head": Head.CLS, **TEXT}),
    "ReLU pooler on the mean": (1, {"pooler": Pooler.RELU}),
    "a label for each token": (4, {"head": Head.TOKEN, **TEXT}),
    "ternary": (2, {"weight": WeightScheme(Weights.TERNARY, per_channel=True)}),
    "split": (1, {"weight": WeightScheme(Weights.SPLIT, trained_scale=True), **TEXT}),
    "table of 8 bits, small epsilon": (2, {"table_bits": 8, "epsilon": 1e-12, **TEXT}),
    "a stream that saturates": (4, {"residual_fraction": 14}),
}


@pytest.mark.parametrize("structure", STRUCTURES)
def test_float_and_integer_model_agree(structure):
    bits, changes = STRUCTURES[structure]
    model, inputs, lengths = random_model(bits, **changes)
    encoder = export_encoder(model)
    with torch.no_grad():
        logits, streams, _ = model(inputs, lengths)
        trace = model.as_integers()(inputs, lengths, whole=True)
    unit = 2.0**model.config.residual_fraction
    distinct, total = set(), 0
    for sample, (x, n) in enumerate(zip(inputs.numpy(), lengths.tolist(), strict=True)):
        expected = encode(encoder, x, n)
        saturated = sum(float(value[sample]) for name, value in trace.items() if name.endswith(".saturated"))
        if n == model.config.tokens:
            assert saturated == expected["saturated"]
        for name, tensor in expected.items():
            if name == "saturated":
                continue
            mine = trace[name][sample].numpy()
            # Rows of padding are nobody's; those of the pooled vector and the logits of a sample are one.
            rows = np.atleast_2d(tensor)[:n]
            assert np.array_equal(np.atleast_2d(mine)[: len(rows), : rows.shape[1]], rows), (name, sample)
        assert np.array_equal(logits[sample].numpy() * unit, trace["logits"][sample])
        distinct.add(expected["logits"].tobytes())
        total += expected["saturated"]
    assert np.array_equal(streams[-1].numpy() * unit, trace[f"layer{model.config.layers - 1}.feed_forward.residual"])
    assert len(distinct) > len(inputs) / 2
    assert (total > 0) == (structure == "a stream that saturates")


@pytest.mark.parametrize("structure", ["W1A4 of patches", "pre-LN", "tanh pooler on a class token", "RMSNorm"])
def test_real_numbers_and_integers_are_close(structure):
    _, changes = STRUCTURES[structure]
    model, inputs, lengths = random_model(8, **changes)
    with torch.no_grad():
        real, integer = model.real(inputs, lengths), model.integer(inputs, lengths)
    assert (real[0] - integer[0]).abs().median() <= 0.1 * integer[0].std()
    assert (real[1][0] - integer[1][0]).abs().max() <= 2.0 ** (2 - CONFIG.residual_fraction) * 4


def test_evaluation_is_integer_only_where_no_gradient_is_wanted():
    model, inputs, lengths = random_model(1)
    logits = model(inputs, lengths)[0]
    assert logits.requires_grad
    with torch.no_grad():
        assert torch.equal(model(inputs, lengths)[0], model.integer(inputs, lengths)[0])
        assert torch.equal(logits, model.real(inputs, lengths)[0])


def test_evaluation_follows_a_weight_that_changes():
    model, inputs, lengths = random_model(1)
    with torch.no_grad():
        before = model(inputs, lengths)[0]
        assert torch.equal(model(inputs, lengths)[0], before)
        model.classifier.bias += 1.0
        assert torch.allclose(model(inputs, lengths)[0], before + 1.0, atol=2e-3)


def test_padding_and_the_length_of_the_batch_do_not_matter():
    model, inputs, lengths = random_model(2, **TEXT)
    short = lengths <= 4
    with torch.no_grad():
        whole = model(inputs[short], lengths[short])[0]
        assert torch.equal(model(inputs[short][:, :4], lengths[short])[0], whole)


def test_an_export_travels_in_a_bundle(tmp_path):
    model, inputs, lengths = random_model(2, order=Order.PRE, pooler=Pooler.RELU)
    samples = bundle.Samples(inputs.numpy(), lengths.numpy(), np.zeros(len(inputs), np.int64))
    encoder = export_encoder(model)
    bundle.save(bundle.Bundle(encoder, tuple("abcde"), samples), tmp_path / "a.bundle")
    loaded = bundle.load(tmp_path / "a.bundle").encoder
    assert np.array_equal(encode(loaded, inputs[0].numpy())["logits"], encode(encoder, inputs[0].numpy())["logits"])


def test_full_precision_is_not_exported():
    with pytest.raises(ExportError, match="full precision"):
        export_encoder(BmtEncoder(CONFIG, None))


def test_what_does_not_fit_the_hardware_is_named():
    model, _, _ = random_model(4)
    model.layers[1].attention_norm.scale.data.fill_(1e6)
    with pytest.raises(ExportError, match=r"^layer1\.attention cannot be exported: norm constants up to"):
        export_encoder(model)


def test_a_1_bit_code_of_an_integer_is_exact_however_close_its_threshold():
    t = np.arange(-5, 6)[:, None]
    offset = np.array([0.0, 1e-9, -1e-9, 0.3, -0.3, 0.1, -0.1 - 1e-12, 40.0, -40.0])
    constants = to_codes(0.1, offset, Quantizer(Format(Kind.BIPOLAR, 1)))
    codes = rescale(t, constants.scale, constants.offset, constants.shift, 0, 1)
    assert np.array_equal(codes, (t >= np.ceil(-offset / 0.1)).astype(int))


def test_a_threshold_of_scores_is_exact_and_may_be_out_of_reach():
    t = np.arange(-5, 6)[:, None]
    first = np.array([-3.0, 0.0, 4.0, 1e12, -1e12])
    constants = reaches(first)
    codes = rescale(t, constants.scale, constants.offset, constants.shift, 0, 1)
    assert np.array_equal(codes, (t >= first).astype(int))


def test_a_1_bit_code_of_a_normalised_value_is_exact_for_rising_and_falling_scales():
    normal = np.arange(-4096, 4097)[:, None]
    scale = np.array([1.0, -1.0, 0.5, -0.37, 1e-9, -1e-9, 0.0, 0.0])
    offset = np.array([0.0, 0.0, 0.7, 0.2, 1e-10, 1.0, 1.0, -1.0])
    constants = norm_thresholds(scale, offset)
    codes = affine(normal, constants.scale, constants.offset, constants.shift, 0, 1)
    assert np.array_equal(codes, (normal / 2048 * scale + offset >= 0).astype(int))


def test_the_sample_of_structures_has_them_all():
    changes = [changes for _, changes in STRUCTURES.values()]
    for key, kinds in {"order": Order, "attention": Attention, "head": Head, "input": Input, "norm": NormKind,
                       "pooler": Pooler}.items():  # fmt: skip
        usual = getattr(CONFIG, key, NormKind.LAYER)
        assert {usual, *(part[key] for part in changes if key in part)} >= set(kinds)


@pytest.mark.parametrize(("arguments", "expected"), [
    ((1e-5, 128, 10), 171_799),  # 1e-5 * 16,384 * 1,048,576, rounded
    ((1e-12, 384, 8), 1), ((1.0, 1024, 10), (1 << 32) - 1),
])  # fmt: skip
def test_epsilon_is_in_squared_units_of_the_sum_of_a_row(arguments, expected):
    assert integer_epsilon(*arguments) == expected


def test_products_are_exact_beyond_what_a_float_of_32_bits_holds():
    wide = Format(Kind.UNSIGNED, 8)
    a, b = torch.full((1, 1001), 255.0), torch.full((1001, 1), 255.0)
    a[0, 0] = 254.0
    assert int(matmul(a, b, wide, wide)) == 254 * 255 + 1000 * 255 * 255


def test_evaluation_sees_weights_that_an_optimiser_changed_without_counting_it():
    model, inputs, lengths = random_model(4)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5, fused=True)
    with torch.no_grad():
        before = model(inputs, lengths)[0]
    versions = [parameter._version for parameter in model.parameters()]
    model.train()
    model(inputs, lengths)[0].square().sum().backward()
    optimizer.step()
    model.eval()
    assert versions == [parameter._version for parameter in model.parameters()]
    with torch.no_grad():
        assert not torch.equal(before, model(inputs, lengths)[0])
