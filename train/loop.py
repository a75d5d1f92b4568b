"""Training: steps from full precision down to one bit, each distilled from the first, resumable by epoch."""

import dataclasses
import hashlib
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from torch.nn import functional

from train.bmt import Encoder
from train.precision import precision
from train.recipe import encoder_config

EVALUATION_BATCH = 500
WARMUP = 0.05
SHIFT = 2


def train(recipe, dataset, folder, console):
    """The models of all steps, the last one being the result: list of train.bmt.Encoder.

    ``folder`` keeps one checkpoint per step, under a name that depends on everything before it: an interrupted run
    goes on with its last whole epoch, and recipes with a common beginning share it.
    """
    trained = []
    for index, step in enumerate(recipe.steps):
        model = new_model(recipe, dataset, step)
        if trained:
            inherit(model, trained[-1])
        run_step(model, trained[0] if trained else None, step, recipe, dataset, _checkpoint(recipe, index, folder), console)
        trained.append(model)
    return trained


def control(recipe, dataset, folder, console):
    """The same embedding and head without the layers, trained like the teacher."""
    model = dataclasses.replace(recipe.model, layers=0)
    recipe = dataclasses.replace(recipe, model=model, steps=recipe.steps[:1])
    return train(recipe, dataset, folder, console)[0]


def new_model(recipe, dataset, step):
    torch.manual_seed(recipe.seed)
    return Encoder(encoder_config(recipe.model, dataset), precision(step.activation_bits), step.dropout)


def inherit(model, source):
    """The weights of ``source``; quantizer steps are left to calibration where the formats differ."""
    same = model.formats == source.formats
    known = {name: value for name, value in source.state_dict().items() if same or not _of_quantizer(name)}
    model.load_state_dict(known, strict=False)


def _of_quantizer(name):
    return name.endswith((".alpha", ".calibrated"))


def _checkpoint(recipe, index, folder):
    known = dataclasses.asdict(recipe) | {"steps": [dataclasses.asdict(step) for step in recipe.steps[: index + 1]]}
    del known["name"]
    digest = hashlib.sha256(json.dumps(known, sort_keys=True, default=str).encode()).hexdigest()[:12]
    bits = recipe.steps[index].activation_bits
    return Path(folder) / f"{recipe.task}-{recipe.model.layers}layers-a{bits}-{digest}.pt"


def run_step(model, teacher, step, recipe, dataset, path, console):
    """Train ``model`` in place; the weights of the best validation epoch remain."""
    optimizer = torch.optim.AdamW(_groups(model, step.weight_decay), lr=step.learning_rate)
    steps_per_epoch = math.ceil(len(dataset.train) / step.batch)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, _warm_linear(step.epochs * steps_per_epoch))
    state: dict[str, Any] = {"epoch": 0, "best": -1.0, "weights": None}
    if path.exists():
        saved = torch.load(path)
        state = saved["state"]
        model.load_state_dict(saved["model"])
        optimizer.load_state_dict(saved["optimizer"])
        schedule.load_state_dict(saved["schedule"])
    if teacher is not None:
        teacher.eval()
    for epoch in range(state["epoch"], step.epochs):
        loss = _run_epoch(model, teacher, optimizer, schedule, step, recipe, dataset.train, epoch, console)
        accuracy = float((predict(model, dataset.validation) == dataset.validation.labels).mean())
        console.print(f"{path.stem} epoch {epoch + 1}: loss {loss:.4f}, validation accuracy {accuracy:.4f}")
        state["epoch"] = epoch + 1
        if accuracy >= state["best"]:
            weights = {name: value.clone() for name, value in model.state_dict().items()}
            state |= {"best": accuracy, "weights": weights}
        path.parent.mkdir(parents=True, exist_ok=True)
        saved = {
            "state": state,
            "model": model.state_dict(),
            "optimizer": optimizer.state_dict(),
            "schedule": schedule.state_dict(),
        }
        torch.save(saved, path.with_suffix(".partial"))
        path.with_suffix(".partial").replace(path)
    model.load_state_dict(state["weights"])
    model.eval()


def _groups(model, weight_decay):
    matrices = [p for p in model.parameters() if p.ndim > 1]
    others = [p for p in model.parameters() if p.ndim <= 1]
    return [{"params": matrices, "weight_decay": weight_decay}, {"params": others, "weight_decay": 0.0}]


def _warm_linear(total):
    warmup = max(1, int(WARMUP * total))
    return lambda step: min((step + 1) / warmup, max(0.0, (total - step) / (total - warmup + 1)))


def _run_epoch(model, teacher, optimizer, schedule, step, recipe, split, epoch, console):
    model.train()
    rng = np.random.default_rng([recipe.seed, epoch])
    torch.manual_seed(recipe.seed * 1000 + epoch)
    batches = _batches(split, step.batch, rng)
    total = 0.0
    columns = (TextColumn(f"epoch {epoch + 1}/{step.epochs}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        for index in progress.track(batches):
            inputs, lengths, labels = _tensors(split, index)
            if recipe.augment:
                inputs = shift_and_flip(inputs, rng)
            with torch.autocast("cpu", torch.bfloat16, enabled=recipe.bfloat16):
                loss = _loss(model, teacher, inputs, lengths, labels, step)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            total += float(loss.detach())
    return total / len(batches)


def _batches(split, size, rng):
    """Shuffled batches of samples of similar length."""
    order = rng.permutation(len(split))
    if split.lengths.min() != split.lengths.max():
        # Sorted within pieces of 50 batches: little padding, still random.
        pieces = np.split(order, range(50 * size, len(order), 50 * size))
        order = np.concatenate([piece[np.argsort(split.lengths[piece], kind="stable")] for piece in pieces])
    batches = np.split(order, range(size, len(order), size))
    _shuffle(batches, rng)
    return batches


def _shuffle(batches, rng):
    for a, b in enumerate(rng.permutation(len(batches))):
        batches[a], batches[b] = batches[b], batches[a]


def _tensors(split, index):
    lengths = torch.from_numpy(split.lengths[index])
    inputs = torch.from_numpy(split.inputs[index][:, : int(lengths.max())])
    return inputs, lengths, torch.from_numpy(split.labels[index])


def shift_and_flip(inputs, rng):
    """Images as patches, each flipped left to right half of the time, the batch shifted by up to two pixels."""
    batch, count, size = inputs.shape
    grid, patch = math.isqrt(count), math.isqrt(size)
    side = grid * patch
    images = inputs.view(batch, grid, grid, patch, patch).transpose(2, 3).reshape(batch, side, side)
    flipped = torch.from_numpy(rng.random(batch) < 0.5)
    images = torch.where(flipped[:, None, None], images.flip(2), images)
    padded = functional.pad(images, (SHIFT, SHIFT, SHIFT, SHIFT))
    top, left = rng.integers(0, 2 * SHIFT + 1, 2)
    images = padded[:, top : top + side, left : left + side]
    return images.reshape(batch, grid, patch, grid, patch).transpose(2, 3).reshape(batch, count, size)


def _loss(model, teacher, inputs, lengths, labels, step):
    logits, streams, mask = model(inputs, lengths)
    loss = functional.cross_entropy(logits, labels)
    if teacher is None:
        return loss
    with torch.no_grad():
        target, target_streams, _ = teacher(inputs, lengths)
    distance = functional.kl_div(
        functional.log_softmax(logits, -1), functional.log_softmax(target, -1), log_target=True, reduction="batchmean"
    )
    loss = step.label_weight * loss + (1 - step.label_weight) * distance
    if step.hidden_weight:
        weight = torch.ones(inputs.shape[:2]) if mask is None else mask.float()
        for stream, target in zip(streams, target_streams, strict=True):
            squares = ((stream - target) ** 2).mean(-1)
            loss = loss + step.hidden_weight * (squares * weight).sum() / weight.sum()
    return loss


@torch.no_grad()
def predict(model, split):
    """Predicted class of each sample: (samples,) int64."""
    model.eval()
    predictions = []
    for start in range(0, len(split), EVALUATION_BATCH):
        inputs, lengths, _ = _tensors(split, np.arange(start, min(start + EVALUATION_BATCH, len(split))))
        predictions.append(model(inputs, lengths)[0].argmax(-1).numpy())
    return np.concatenate(predictions)
