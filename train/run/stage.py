"""One stage of training: from the model as given to its best by validation, resumable at any checkpoint to the bit."""

import copy
import math
from pathlib import Path

import numpy as np
import torch

from train.data.augment import augmentation
from train.data.batches import batches, batches_per_epoch, shards, tensors
from train.data.sets import Dataset
from train.errors import CheckpointError, Diverged, ExportError
from train.model.bmt import BmtEncoder
from train.run import checkpoint
from train.run.captured import Captured
from train.run.distillation import loss_of, run
from train.run.distributed import Workers
from train.run.predict import accuracy
from train.run.recipe import Mixed, Recipe, StageRecipe
from train.run.report import Silent
from train.run.schedule import rate

DTYPES = {Mixed.NONE: torch.float32, Mixed.BFLOAT16: torch.bfloat16, Mixed.FLOAT16: torch.float16}
#: Decay of the average while it is young: of ``step`` steps, at most ``(1 + step) / (YOUNG + step)``.
YOUNG = 10


class Stage:
    """Trains ``model`` in place.

    Parameters
    ----------
    model, teacher : train.model.bmt.BmtEncoder
        ``teacher`` is None, or not used, without distillation.
    step : train.run.recipe.StageRecipe
    recipe : train.run.recipe.Recipe
    dataset : train.data.sets.Dataset
    path : pathlib.Path
        Checkpoint to write, and to go on from if it is there.
    workers : train.run.distributed.Workers
    """

    def __init__(
        self, model: BmtEncoder, teacher: BmtEncoder | None, step: StageRecipe, recipe: Recipe, dataset: Dataset, path: Path,
        workers: Workers,
    ):  # fmt: skip
        self.step, self.recipe, self.dataset, self.path, self.workers = step, recipe, dataset, path, workers
        self.teacher = teacher if step.distils else None
        self.model = model.to(workers.device)
        self.augment = augmentation(recipe, step, dataset)
        self.pieces = workers.count * step.accumulate
        self.per_epoch = batches_per_epoch(dataset.train, step.batch)
        self.total = step.epochs * self.per_epoch
        self.done, self.best, self.stale, self.finished = 0, -1.0, 0, False
        self.weights: dict[str, torch.Tensor] | None = None
        for module in model.modules():
            if hasattr(module, "shards"):
                module.shards = self.pieces
        saved = self._read_weights() if path.exists() else None
        if saved is None:
            self._calibrate()
        self.average = copy.deepcopy(self.model) if step.average else None
        on_gpu = workers.device.type == "cuda"
        self.optimizer = torch.optim.AdamW(_groups(self.model, step.weight_decay), lr=step.learning_rate, fused=on_gpu)
        self.scaler = torch.amp.GradScaler(workers.device.type, enabled=recipe.mixed is Mixed.FLOAT16)
        self.wrapped = workers.wrap(self.model)
        self.captured = None
        if on_gpu and self.pieces == 1 and not (step.scheme and step.scheme.free):
            self.captured = Captured(self._differentiate, list(self.model.parameters()))
        if saved is not None and not self.finished:
            self._restore(saved)

    def run(self, report: Silent) -> None:
        """Train to the end; the best weights by validation remain."""
        report.begin(self.path.stem, self.total, self.done)
        try:
            while self.done < self.total and not self.finished:
                self._advance(report)
        except KeyboardInterrupt:
            kept = f"that of step {self._kept()}" if self.path.exists() else "none yet"
            raise KeyboardInterrupt(
                f"at step {self.done} of {self.total} of {self.path.stem} (last checkpoint: {kept}; --resume goes on there)"
            ) from None
        finally:
            report.end()
            self.captured = None
        if self.workers.first and not self.finished:
            self.finished = True
            self._save()
        self.workers.wait()
        self.model.load_state_dict(self.weights)
        self.model.to(self.workers.device).eval()

    def _advance(self, report):
        epoch, number = divmod(self.done, self.per_epoch)
        if number == 0 or not hasattr(self, "order"):
            self.order = batches(self.dataset.train, self.step.batch, self.recipe.seed, epoch)
        learning_rate = self.step.learning_rate * rate(self.done, self.total, self.step.schedule, self.step.warmup)
        loss, hits = self._update(self.order[number], epoch, number, learning_rate)
        self.done += 1
        report.step(self.done, epoch + 1, loss, hits, learning_rate)
        whole = number + 1 == self.per_epoch
        if whole:
            self._validate(report, epoch + 1)
        if whole or self.done % self.recipe.checkpoint_every == 0:
            if self.workers.first:
                self._save()
            self.workers.wait()

    def _update(self, index, epoch, number, learning_rate):
        """One step of the optimiser: loss and share of right predictions, over all processes."""
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate
        self.wrapped.train()
        self.optimizer.zero_grad(set_to_none=True)
        rng = np.random.default_rng([self.recipe.seed, epoch, number])
        parts = shards(index, self.pieces)
        # Of the whole batch, so that it does not depend on how many processes share it.
        augmented = self.augment and self.augment(index, rng)
        seeds = rng.integers(0, 1 << 62, self.pieces)
        mine = range(self.workers.rank * self.step.accumulate, (self.workers.rank + 1) * self.step.accumulate)
        loss = hits = 0.0
        starts = np.cumsum([0, *(len(part) for part in parts)])
        for part in mine:
            torch.manual_seed(int(seeds[part]))
            share = len(parts[part]) * self.workers.count / len(index)
            given = augmented and [tensor[starts[part] : starts[part + 1]] for tensor in augmented]
            context = self.workers.alone(self.wrapped) if part + 1 < mine.stop else torch.enable_grad()
            with context:
                piece, right = self._gradients(parts[part], given, share)
            loss, hits = loss + piece, hits + right * share
        loss, hits = self.workers.mean(loss), self.workers.mean(hits)
        if not math.isfinite(loss):
            kept = f"{self.path} of step {self._kept()}" if self.path.exists() else "none, it is the first interval"
            raise Diverged(
                f"the loss is {loss} at step {self.done + 1} of stage {self.path.stem}; the last good checkpoint is kept: "
                f"{kept}; lower learning_rate in the recipe"
            )
        self.scaler.unscale_(self.optimizer)
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.step.clip)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        self._follow()
        return loss, hits

    def _gradients(self, index, given, share):
        """Leave the gradients of one part of a batch: its loss and its share of right predictions."""
        inputs, lengths, labels = tensors(self.dataset.train, index, self.workers.device)
        if given:
            inputs, lengths = (tensor.to(self.workers.device) for tensor in given)
        compute = self._differentiate if self.captured is None else self.captured
        loss, right = compute(inputs, lengths, labels, torch.tensor(share, device=self.workers.device)).tolist()
        return loss, right

    def _differentiate(self, inputs, lengths, labels, share):
        """`_gradients` of tensors on the device: ``(loss, share of right predictions)`` there."""
        mixed = self.recipe.mixed
        attention = self.step.attention_weight > 0
        with torch.autocast(self.workers.device.type, DTYPES[mixed], enabled=mixed is not Mixed.NONE):
            target = None
            if self.teacher is not None:
                with torch.no_grad():
                    target = run(self.teacher, inputs, lengths, attention)
            student = run(self.wrapped, inputs, lengths, attention)
            loss = loss_of(student, target, self.step, labels) * share
        self.scaler.scale(loss).backward()
        return torch.stack([loss.detach(), (student.logits.detach().argmax(-1) == labels).float().mean()])

    @torch.no_grad()
    def _follow(self):
        if self.average is None:
            return
        decay = min(self.step.average, (1 + self.done) / (YOUNG + self.done))
        torch._foreach_lerp_(list(self.average.parameters()), list(self.model.parameters()), 1 - decay)
        for mine, its in zip(self.average.buffers(), self.model.buffers(), strict=True):
            mine.copy_(its)

    def _validate(self, report, epoch):
        candidate = self.average if self.average is not None else self.model
        found = self._accuracy(candidate)
        self.stale += 1
        if found >= self.best:
            self.stale = 0 if found > self.best else self.stale
            self.best = found
            self.weights = {name: value.detach().cpu().clone() for name, value in candidate.state_dict().items()}
        report.validated(self.done, epoch, found, self.best)
        if self.step.patience and self.stale >= self.step.patience:
            self.finished = True

    def _accuracy(self, candidate):
        """Of the validation split; 0 while the constants of a young model do not fit the hardware."""
        try:
            return accuracy(candidate, self.dataset.validation)
        except ExportError:
            if self.done == self.total and self.weights is None:
                raise
            return 0.0

    @torch.no_grad()
    def _calibrate(self):
        """Set the steps of the quantizers from the first batch, the same in every process."""
        index = batches(self.dataset.train, self.step.batch, self.recipe.seed, 0)[0]
        torch.manual_seed(self.recipe.seed)
        self.model.train()
        self.model(*tensors(self.dataset.train, index, self.workers.device)[:2])

    def _save(self):
        content = {"kind": "stage", "done": self.done, "best": self.best, "stale": self.stale, "finished": self.finished,
                   "weights": self.weights}  # fmt: skip
        if not self.finished:
            content |= {
                "model": self.model.state_dict(), "optimizer": self.optimizer.state_dict(),
                "scaler": self.scaler.state_dict(),
                "average": None if self.average is None else self.average.state_dict(),
            }  # fmt: skip
        checkpoint.save(content, self.path)

    def _kept(self):
        return checkpoint.load(self.path, "stage")["done"]

    def _read_weights(self):
        saved = checkpoint.load(self.path, "stage")
        self.done, self.best, self.stale = saved["done"], saved["best"], saved["stale"]
        self.finished, self.weights = saved["finished"], saved["weights"]
        try:
            self.model.load_state_dict(saved["weights"] if self.finished else saved["model"])
        except (RuntimeError, KeyError) as error:
            reason = str(error).split("\n")[-1].strip()
            raise CheckpointError(f"{self.path} is of another model ({reason}); delete it to train anew") from None
        return saved

    def _restore(self, saved):
        self.optimizer.load_state_dict(saved["optimizer"])
        self.scaler.load_state_dict(saved["scaler"])
        if self.average is not None:
            self.average.load_state_dict(saved["average"])


def _groups(model, weight_decay):
    matrices = [p for p in model.parameters() if p.ndim > 1]
    others = [p for p in model.parameters() if p.ndim <= 1]
    return [{"params": matrices, "weight_decay": weight_decay}, {"params": others, "weight_decay": 0.0}]
