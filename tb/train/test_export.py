"""A BMT and its export compute the same: tensors nearly everywhere, predictions almost always."""

import dataclasses

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs the extra 'train'")

from golden.encoder import encode  # noqa: E402
from golden.model import Attention, EncoderConfig, Head, Input, Order  # noqa: E402
from train.bmt import Encoder, precision  # noqa: E402
from train.export import export_encoder  # noqa: E402

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
