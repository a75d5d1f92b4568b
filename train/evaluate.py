"""Evaluation of the three forms of a model on the whole test set: full precision, fake-quantized, integer."""

import multiprocessing
import os
from functools import partial

import numpy as np

from golden.encoder import encode
from train.predict import predict


def predict_integer(encoder, split, processes):
    """What the integer model predicts: classes (samples,) int64, and the saturated residual elements, a count."""
    work = zip(split.inputs, split.lengths, strict=True)
    # The products are small: more BLAS threads than processes only wait for each other.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    with multiprocessing.get_context("spawn").Pool(processes) as pool:
        results = pool.map(partial(_predict_one, encoder), work, chunksize=50)
    classes, saturated = np.array(results, np.int64).T
    return classes, int(saturated.sum())


def _predict_one(encoder, sample):
    inputs, length = sample
    trace = encode(encoder, inputs, int(length))
    return int(trace["logits"].argmax()), int(trace["saturated"])


def measure(teacher, model, encoder, control, test, processes):
    """Accuracies in percent, as the bundle's record holds them."""
    fake = predict(model, test)
    integer, saturated = predict_integer(encoder, test, processes)

    def percent(hits):
        return round(100 * float(np.mean(hits)), 2)

    measured = {
        "test_samples": len(test),
        "full_precision": percent(predict(teacher, test) == test.labels),
        "fake_quantized": percent(fake == test.labels),
        "integer": percent(integer == test.labels),
        "agreement": percent(fake == integer),
        "saturated_residual_elements": saturated,
    }
    if control is not None:
        measured["control_without_layers"] = percent(predict(control, test) == test.labels)
    return measured
