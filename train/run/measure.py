"""Evaluation of the forms of a model on a split: full precision, quantized, integer; accuracies and agreement."""

import multiprocessing
import os
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from golden.encoder import encode
from golden.model import Encoder
from train.data.sets import Split
from train.model.bmt import BmtEncoder
from train.run.predict import predict


def predict_integer(
    encoder: Encoder,
    split: Split,
    processes: int,
    track: Callable[[Iterable[Any], int], Iterable[Any]] = lambda results, count: results,
) -> tuple[NDArray[np.int64], int]:
    """What the integer model, `golden.encoder`, predicts.

    Parameters
    ----------
    encoder : golden.model.Encoder
    split : train.data.sets.Split
    processes : int
    track : callable, optional
        Wraps the results, of which there are ``count``, to show progress.

    Returns
    -------
    classes : (samples,) int64;  saturated : int
        Number of saturated residual elements.
    """
    work = zip(split.inputs, split.lengths, strict=True)
    one = partial(_predict_one, encoder)
    if processes == 1:
        results = list(track(map(one, work), len(split)))
    else:
        # The products are small: more BLAS threads than processes only wait for each other.
        os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
        with multiprocessing.get_context("spawn").Pool(processes) as pool:
            results = list(track(pool.imap(one, work, chunksize=20), len(split)))
    classes, saturated = np.array(results, np.int64).T
    return classes, int(saturated.sum())


def _predict_one(encoder, sample):
    inputs, length = sample
    trace = encode(encoder, inputs, int(length))
    return int(trace["logits"].argmax()), int(trace["saturated"])


def percent(hits: NDArray[np.bool_]) -> float:
    """Share of a boolean array in percent, to two decimals."""
    return round(100 * float(np.mean(hits)), 2)


def percent_right(model: BmtEncoder, split: Split) -> float:
    """Accuracy of a model as it evaluates, in percent."""
    return percent(predict(model, split) == split.labels)


def measure(
    teacher: BmtEncoder, model: BmtEncoder, encoder: Encoder, control: BmtEncoder | None, test: Split, processes: int
) -> dict[str, float]:
    """Accuracies in percent, as the bundle's record holds them.

    ``fake_quantized`` is the model in PyTorch as it evaluates, ``real_arithmetic`` as it trains, with nothing rounded but
    by its quantizers; ``agreement`` of both with the integer model is that of labels.
    """
    fake, real = predict(model, test), predict(model, test, model.real)
    integer, saturated = predict_integer(encoder, test, processes)
    measured = {
        "test_samples": len(test),
        "full_precision": percent_right(teacher, test),
        "real_arithmetic": percent(real == test.labels),
        "fake_quantized": percent(fake == test.labels),
        "integer": percent(integer == test.labels),
        "agreement": percent(fake == integer),
        "agreement_of_real_arithmetic": percent(real == integer),
        "saturated_residual_elements": saturated,
    }
    if control is not None:
        measured["control_without_layers"] = percent_right(control, test)
    return measured
