"""Softmax: probabilities in codes of a learned step."""

import math

import numpy as np
import torch

from golden import softmax
from golden.model import Requantization
from golden.reciprocal import reciprocal
from golden.rescale import quantize_constants
from train.integer.arithmetic import shifted
from train.model.attention.kind import Weighting
from train.model.quantizers import Quantizer


class _Softmax(Weighting):
    member = "probability_quantizer"

    def module(self, config, code_format):
        return Quantizer(code_format)

    def weights(self, module, scores, mask):
        if mask is not None:
            scores = scores.masked_fill(~mask[:, None, None, :], -torch.inf)
        return module(torch.softmax(scores, -1))

    def export(self, module, unit, config):
        score = to_scores(unit, config.heads, config.head_width)
        step, step_shift = softmax.quantize_step(module.step)
        fields = {"score": score, "step": step, "step_shift": step_shift}
        return fields, np.full(config.heads * config.head_width, module.step)

    def codes(self, arithmetic, scores, keys, block):
        maximum = scores.masked_fill(~keys, -torch.inf).amax(-1, keepdim=True)
        distance = (maximum - scores).clamp_(min=0).int()
        whole = (distance >> softmax.SCORE_FRACTION).clamp_(max=softmax.EXPONENTIAL_BITS)
        table = arithmetic.tensor(softmax.EXPONENTIAL_TABLE)
        part = table[distance & ((1 << softmax.SCORE_FRACTION) - 1)]
        e = torch.ldexp(part, -whole).floor_().mul_(keys)
        y, n = reciprocal(e.sum(-1, keepdim=True).long().cpu().numpy())
        half, shift = arithmetic.shift(n + block.step_shift)
        gain = arithmetic.row(y * block.step >> 16)
        return shifted(e.mul_(gain), half, shift).clamp_(max=block.probability.range[1])


def to_scores(scale: float, heads: int, head_width: int) -> Requantization:
    """Constants that turn products of query and key codes, of ``scale`` each, into scores in 1/64 of base 2."""
    exponent = scale * math.log2(math.e) / math.sqrt(head_width) * (1 << softmax.SCORE_FRACTION)
    return Requantization(*quantize_constants(np.full(heads, exponent), np.zeros(heads)))


KIND = _Softmax()
