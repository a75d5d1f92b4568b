"""Predictions of a model on a split."""

import numpy as np
import torch

from train.data.batches import tensors

BATCH = 500


@torch.no_grad()
def predict(model, split, forward=None):
    """Predicted class of each sample: (samples,) int64. Leaves the model in evaluation mode.

    ``forward`` takes the place of calling the model, for `Encoder.real`.
    """
    model.eval()
    device = next(model.parameters()).device
    predictions = []
    for start in range(0, len(split), BATCH):
        inputs, lengths, _ = tensors(split, np.arange(start, min(start + BATCH, len(split))), device)
        predictions.append((forward or model)(inputs, lengths)[0].argmax(-1).cpu().numpy())
    return np.concatenate(predictions)


def accuracy(model, split):
    """Share of the samples that are predicted right, 0..1."""
    return float((predict(model, split) == split.labels).mean())
