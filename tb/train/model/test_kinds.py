"""Attention kinds and activations in training: each is there, and the integer model has what stands for it."""

import pytest

torch = pytest.importorskip("torch", reason="training needs the extra 'train'")

from golden.attention.kinds import ATTENTION_KINDS  # noqa: E402
from golden.codes import Kind  # noqa: E402
from golden.model import Attention, Head  # noqa: E402
from tb.train.encoders import random_model  # noqa: E402
from train.model.activation.kinds import TRAINED_ACTIVATIONS  # noqa: E402
from train.model.attention.kinds import WEIGHTINGS  # noqa: E402
from train.model.export import export_encoder  # noqa: E402
from train.model.quantizers import Quantizer  # noqa: E402
from train.model.structure import Activation, Pooler  # noqa: E402


@pytest.mark.parametrize("activation", Activation)
@pytest.mark.parametrize("bits", [1, 3])
def test_an_export_has_what_stands_for_the_activation_of_a_feed_forward_block(activation, bits):
    model, _, _ = random_model(bits, activation=activation, layers=1, samples=4)
    up = export_encoder(model).layers[0].feed_forward.up
    assert up.activation is TRAINED_ACTIVATIONS[activation].on_bits


@pytest.mark.parametrize(("pooler", "kind"), [(Pooler.TANH, Kind.SIGNED), (Pooler.RELU, Kind.UNSIGNED)])
def test_an_export_has_what_stands_for_the_activation_of_a_pooler(pooler, kind):
    model, _, _ = random_model(3, pooler=pooler, head=Head.CLS, layers=1, samples=4)
    exported = export_encoder(model).pooler
    assert exported.activation is TRAINED_ACTIVATIONS[pooler].on_bits
    assert exported.output.kind is kind


@pytest.mark.parametrize(("activation", "expected"), [
    (Activation.RELU, [0.0, 0.0, 1.0]), (Activation.GELU, [-0.158655, 0.0, 0.841345]),
    (Activation.GELU_TANH, [-0.158808, 0.0, 0.841192]), (Pooler.TANH, [-0.761594, 0.0, 0.761594]),
])  # fmt: skip
def test_full_precision_computes_the_activation_itself(activation, expected):
    kind = TRAINED_ACTIVATIONS[activation]
    found = kind.results(torch.tensor([-1.0, 0.0, 1.0]), kind.quantizer(None))
    assert torch.allclose(found, torch.tensor(expected), atol=1e-6)


@pytest.mark.parametrize("attention", Attention)
def test_parameters_of_an_attention_kind_have_its_name_in_checkpoints(attention):
    model, _, _ = random_model(1, attention=attention, layers=1, samples=4)
    names = {name.split(".")[3] for name in model.state_dict() if name.startswith("layers.0.attention.")}
    linears = {"query", "key", "value", "output"}
    assert names - linears - {f"{part}_quantizer" for part in ("query", "key", "value", "context")} == {
        WEIGHTINGS[attention].member
    }
    assert WEIGHTINGS[attention].member == {"softmax": "probability_quantizer", "threshold": "threshold"}[attention]


@pytest.mark.parametrize("attention", Attention)
def test_a_kind_is_a_distribution_where_its_weights_add_up_to_1(attention):
    kind = WEIGHTINGS[attention]
    model, _, _ = random_model(32, attention=attention, layers=1, samples=4)
    weights = kind.weights(model.layers[0].attention.weigher, torch.randn(2, 3, 9, 9), None)
    adds_up = bool(torch.allclose(weights.sum(-1), torch.ones(2, 3, 9)))
    assert adds_up == ATTENTION_KINDS[attention].distribution
    assert isinstance(model.layers[0].attention.weigher, Quantizer) == (attention is Attention.SOFTMAX)
