"""Predictions of a model on a split."""

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray

from train.data.batches import tensors
from train.data.sets import Split
from train.model.bmt import BmtEncoder

BATCH = 500


@torch.no_grad()
def predict(
    model: BmtEncoder, split: Split, forward: Callable[..., tuple[torch.Tensor, ...]] | None = None
) -> NDArray[np.int64]:
    """Predicted class of each sample: (samples,) int64. Leaves the model in evaluation mode.

    ``forward`` takes the place of calling the model, for `BmtEncoder.real`.
    """
    model.eval()
    device = next(model.parameters()).device
    predictions = []
    for start in range(0, len(split), BATCH):
        inputs, lengths, _ = tensors(split, np.arange(start, min(start + BATCH, len(split))), device)
        predictions.append((forward or model)(inputs, lengths)[0].argmax(-1).cpu().numpy())
    return np.concatenate(predictions)


def accuracy(model: BmtEncoder, split: Split) -> float:
    """Share of the samples that are predicted right, 0..1."""
    return float((predict(model, split) == split.labels).mean())
