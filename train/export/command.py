"""`bittern export`: a trained model to a bundle, which golden and the RTL run, and its layers to QONNX."""

import argparse
import os
from pathlib import Path

from rich.console import Console

from formats import bundle
from train.data.load import load_data
from train.data.sets import Dataset, check_inputs
from train.data.tokenizer import tokenizer_of
from train.errors import DataError
from train.model.export import export_encoder
from train.run.bundle import make_bundle
from train.run.files import digest, size
from train.run.measure import measure
from train.run.saved import Saved, load_model


def run(options: argparse.Namespace) -> int:
    """Returns the exit status."""
    console = Console(soft_wrap=True, highlight=False)
    saved = load_model(options.checkpoint)
    encoder = export_encoder(saved.model)
    dataset = data_of(saved, options.data)
    measured = {}
    if options.measure:
        measured = measure(saved.teacher, saved.model, encoder, None, dataset.test, options.processes or os.cpu_count() or 1)
    made = make_bundle(saved.recipe, dataset, encoder, measured, f"bittern export {Path(options.checkpoint).name}")
    output = Path(options.output)
    output.parent.mkdir(parents=True, exist_ok=True)
    made.record["checkpoint"] = {
        "path": os.path.relpath(options.checkpoint, output.parent), "sha256": digest(options.checkpoint)
    }  # fmt: skip
    bundle.save(made, output)
    console.print(f"{output}: {size(output)}, {len(made.samples.labels)} samples")
    for name, value in measured.items():
        console.print(f"{name.replace('_', ' '):>28}  {value}")
    if options.qonnx:
        from train.export.qonnx import write_qonnx

        nodes = write_qonnx(saved.model, options.qonnx)
        console.print(f"{options.qonnx}: {nodes} linear layers with their quantizers")
    return 0


def data_of(saved: Saved, folder: Path | str | None) -> Dataset:
    """The data set that a saved model was trained on. Raises DataError, also if it is another one now."""
    dataset = load_data(saved.recipe, folder, tokenizer_of(saved.preprocessing))
    config = saved.model.config
    if tuple(dataset.labels) != tuple(saved.labels) or len(dataset.labels) != config.classes:
        raise DataError(
            f"the data have {len(dataset.labels)} classes, {', '.join(dataset.labels)}, and the model has "
            f"{config.classes}, {', '.join(saved.labels)}; give the data it was trained on"
        )
    check_inputs(dataset, config)
    return dataset
