"""A BMT and its export compute the same: tensors nearly everywhere, predictions almost always."""

import dataclasses

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs the extra 'train'")

from golden.codes import Kind  # noqa: E402
from golden.encoder import encode  # noqa: E402
from golden.layernorm import affine  # noqa: E402
from golden.model import Attention, EncoderConfig, Format, Head, Input, Order  # noqa: E402
from golden.rescale import rescale  # noqa: E402
from train.bmt import Encoder  # noqa: E402
from train.export import export_encoder, norm_thresholds, to_codes  # noqa: E402
from train.precision import precision  # noqa: E402
from train.quantizers import Quantizer  # noqa: E402

CONFIG = EncoderConfig(
    layers=2, width=48, heads=3, head_width=16, feed_forward=64, tokens=9, classes=5, input=Input.PATCHES,
    order=Order.POST, attention=Attention.SOFTMAX, head=Head.MEAN, input_size=16, residual_fraction=10,
)  # fmt: skip
SAMPLES = 100


def random_model(activation_bits, **changes):
    """A model with random parameters everywhere, calibrated on random inputs; with the inputs and lengths."""
    torch.manual_seed(activation_bits)
    config = dataclasses.replace(CONFIG, **changes)
    model = Encoder(config, precision(activation_bits))
    for name, parameter in model.named_parameters():
        if parameter.ndim == 1:
            parameter.data += 0.2 * torch.randn_like(parameter)
        if name.startswith("classifier"):
            parameter.data *= 2
    if config.input is Input.TOKENS:
        inputs = torch.randint(config.input_size, (SAMPLES, config.tokens))
        lengths = torch.randint(1, config.tokens + 1, (SAMPLES,))
        lengths[0] = config.tokens
    else:
        inputs = torch.randint(256, (SAMPLES, config.tokens, config.input_size))
        lengths = torch.full((SAMPLES,), config.tokens)
    model.train()
    with torch.no_grad():
        model(inputs, lengths)
    return model.eval(), inputs, lengths


@pytest.mark.parametrize(
    ("activation_bits", "changes"),
    [
        (1, {}),
        (4, {}),
        (1, {"input": Input.TOKENS, "input_size": 40}),
        (2, {"input": Input.TOKENS, "input_size": 40}),
        (8, {"head": Head.CLS, "layers": 1}),
    ],
)
def test_float_and_integer_model_agree(activation_bits, changes):
    model, inputs, lengths = random_model(activation_bits, **changes)
    encoder = export_encoder(model)
    with torch.no_grad():
        logits, streams, _ = model(inputs, lengths)
    traces = [encode(encoder, x, int(n)) for x, n in zip(inputs.numpy(), lengths, strict=True)]
    unit = 2.0**CONFIG.residual_fraction
    embedded = np.stack([trace["embedding.residual"] for trace in traces])
    assert np.abs(streams[0].numpy() * unit - embedded).mean() <= 0.2
    integer = np.stack([trace["logits"] for trace in traces])
    assert np.mean(logits.argmax(-1).numpy() == integer.argmax(-1)) >= 0.97
    assert np.median(np.abs(logits.numpy() * unit - integer)) <= 0.05 * np.std(integer)
    assert len(np.unique(integer.argmax(-1))) > 1


def test_a_1_bit_code_of_an_integer_is_exact_however_close_its_threshold():
    t = np.arange(-5, 6)[:, None]
    offset = np.array([0.0, 1e-9, -1e-9, 0.3, -0.3, 0.1, -0.1 - 1e-12, 40.0, -40.0])
    constants = to_codes(0.1, offset, Quantizer(Format(Kind.BIPOLAR, 1)))
    codes = rescale(t, constants.scale, constants.offset, constants.shift, 0, 1)
    assert np.array_equal(codes, (t >= np.ceil(-offset / 0.1)).astype(int))


def test_a_1_bit_code_of_a_normalised_value_is_exact_for_rising_and_falling_scales():
    normal = np.arange(-4096, 4097)[:, None]
    scale = np.array([1.0, -1.0, 0.5, -0.37, 1e-9, -1e-9, 0.0, 0.0])
    offset = np.array([0.0, 0.0, 0.7, 0.2, 1e-10, 1.0, 1.0, -1.0])
    constants = norm_thresholds(scale, offset)
    codes = affine(normal, constants.scale, constants.offset, constants.shift, 0, 1)
    assert np.array_equal(codes, (normal / 2048 * scale + offset >= 0).astype(int))
