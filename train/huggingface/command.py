"""`bittern import`: a checkpoint in Hugging Face layout to a folder that a recipe starts from."""

import argparse

from rich.console import Console

from golden.model import Head, describe
from train.data.tasks import Task, image_of, labels_of
from train.errors import CheckpointError
from train.huggingface.convert import Wishes, convert
from train.huggingface.files import read_checkpoint
from train.huggingface.folder import write_imported


def run(options: argparse.Namespace) -> int:
    """Returns the exit status."""
    task = _task(options.task)
    checkpoint = read_checkpoint(options.checkpoint, options.sha256)
    wishes = Wishes(
        labels=labels_of(task) if task else None,
        head=Head(options.head) if options.head else None,
        heads=options.heads,
        family=options.family,
        tokens=options.tokens,
        residual_fraction=options.residual_fraction,
        image=image_of(task) if task else None,
        new_classifier=options.new_classifier,
    )
    imported = convert(checkpoint, wishes)
    write_imported(imported, checkpoint, options.output, task and str(task))
    encoder = imported.encoder
    console = Console(soft_wrap=True, highlight=False)
    console.print(f"{options.output}: {imported.family}, {describe(encoder.config)}, {encoder.config.order}-norm")
    activation = f"{encoder.structure.activation} activation, {encoder.config.head} head"
    pooler = f", {encoder.structure.pooler} pooler" if encoder.structure.pooler else ""
    console.print(f"{encoder.config.tokens} tokens, {activation}{pooler}, classes {', '.join(imported.labels)}")
    for note in imported.notes:
        console.print(f"note: {note}")
    console.print(f'start a recipe from it with: start = "{options.output}"')
    return 0


def _task(name):
    if name is None:
        return None
    try:
        return Task(name)
    except ValueError:
        raise CheckpointError(f"--task must be one of {', '.join(Task)}, not {name!r}") from None
