"""Losses: of the labels, and of the distance to a teacher's logits, streams and attention."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import torch
from torch.nn import functional

from train.model.bmt import BmtEncoder, Returned
from train.run.recipe import StageRecipe

SMALLEST = 1e-9


def loss_of(student: "Outputs", teacher: "Outputs | None", step: StageRecipe, labels: torch.Tensor) -> torch.Tensor:
    """The loss of a batch, a number, from what both models gave.

    Parameters
    ----------
    student, teacher : Outputs
        The teacher's are None without distillation.
    step : train.run.recipe.StageRecipe
        For the weights of the parts.
    labels : int64 tensor, (batch,)

    ``label_weight`` of it is the cross entropy with the labels, the rest the divergence from the teacher's logits, at a
    temperature T and times T^2 (arXiv 1503.02531). Added are the mean squared distance of the streams after embedding and
    layers (arXiv 1909.10351), and the divergence of each token's attention.
    """
    loss = functional.cross_entropy(student.logits, labels, label_smoothing=step.label_smoothing)
    if teacher is None:
        return loss
    t = step.temperature
    distance = functional.kl_div(
        functional.log_softmax(student.logits / t, -1), functional.log_softmax(teacher.logits / t, -1), log_target=True,
        reduction="batchmean",
    )  # fmt: skip
    loss = step.label_weight * loss + (1 - step.label_weight) * t * t * distance
    mask = torch.ones(student.streams[0].shape[:2], device=labels.device) if student.mask is None else student.mask.float()
    if step.hidden_weight:
        for stream, target in zip(student.streams, teacher.streams, strict=True):
            loss = loss + step.hidden_weight * _mean(((stream - target) ** 2).mean(-1), mask)
    if step.attention_weight:
        for mine, its in zip(student.attention, teacher.attention, strict=True):
            loss = loss + step.attention_weight * _mean(_divergence(mine.mean(1), its.mean(1)), mask)
    return loss


def _mean(x, mask):
    """Of (batch, tokens) over the tokens that are not padding."""
    return (x * mask).sum() / mask.sum()


def _divergence(mine, its):
    """Kullback-Leibler divergence of rows of probabilities, (batch, tokens)."""
    return (its * (its.clamp(min=SMALLEST).log() - mine.clamp(min=SMALLEST).log())).sum(-1)


class Outputs:
    """``logits``, ``streams`` and ``mask`` as `train.model.bmt.BmtEncoder` returns them; ``attention`` one (batch, heads,
    tokens, tokens) for each layer, where it was recorded."""

    def __init__(self, returned: Returned, attention: Iterable[torch.Tensor] = ()):
        self.logits, self.streams, self.mask = returned
        self.attention = list(attention)


@contextmanager
def recorded_attention(model: BmtEncoder) -> Iterator[list[torch.Tensor]]:
    """Within it the list it gives is filled, by each forward, with the probabilities that the layers quantize.

    Of models whose attention is a distribution, `golden.attention.kind.AttentionKind.distribution`.
    """
    found = []
    handles = [
        layer.attention.weigher.register_forward_pre_hook(lambda _, inputs: found.append(inputs[0]))
        for layer in model.layers
    ]
    try:
        yield found
    finally:
        for handle in handles:
            handle.remove()


def run(model: torch.nn.Module, inputs: torch.Tensor, lengths: torch.Tensor, with_attention: bool = False) -> Outputs:
    """The outputs of a model, of PyTorch's distributed wrapper too."""
    if not with_attention:
        return Outputs(model(inputs, lengths))
    with recorded_attention(getattr(model, "module", model)) as attention:
        return Outputs(model(inputs, lengths), attention)
