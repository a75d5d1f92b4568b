"""Random encoders in PyTorch for tests: parameters everywhere, quantizers calibrated."""

import dataclasses

import torch

from golden.model import Attention, EncoderConfig, Head, Input, Order
from train.model.bmt import BmtEncoder
from train.model.precision import precision
from train.model.structure import Structure

CONFIG = EncoderConfig(
    layers=2, width=48, heads=3, head_width=16, feed_forward=64, tokens=9, classes=5, input=Input.PATCHES,
    order=Order.POST, attention=Attention.SOFTMAX, head=Head.MEAN, input_size=16, residual_fraction=10,
)  # fmt: skip
SAMPLES = 40


def random_model(activation_bits, weight=None, table_bits=1, samples=SAMPLES, **changes):
    """A model in evaluation mode with random parameters, calibrated on random inputs; with the inputs and lengths.

    ``changes`` are fields of EncoderConfig and of Structure.
    """
    torch.manual_seed(activation_bits)
    ours = {field.name for field in dataclasses.fields(Structure)}
    structure = Structure(**{key: value for key, value in changes.items() if key in ours})
    config = dataclasses.replace(CONFIG, **{key: value for key, value in changes.items() if key not in ours})
    model = BmtEncoder(config, precision(activation_bits, weight, table_bits), structure=structure)
    for name, parameter in model.named_parameters():
        if parameter.ndim == 1:
            parameter.data += 0.2 * torch.randn_like(parameter)
        if name.startswith("classifier"):
            parameter.data *= 2
    if config.input is Input.TOKENS:
        inputs = torch.randint(config.input_size, (samples, config.tokens))
        lengths = torch.randint(1, config.tokens + 1, (samples,))
        lengths[0] = config.tokens
    else:
        inputs = torch.randint(256, (samples, config.tokens, config.input_size))
        lengths = torch.full((samples,), config.tokens)
    model.train()
    with torch.no_grad():
        model(inputs, lengths)
    return model.eval(), inputs, lengths
