"""Several processes train what one does with the same batches."""

import csv
import os
import socket
import subprocess

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs the extra 'train'")

from tb.train.toys import toy_dataset  # noqa: E402
from train.data.batches import batches, shards  # noqa: E402

RECIPE = """
task = "digits"
seed = 1
shift = 2
flip = true
[model]
layers = 1
width = 16
heads = 2
head_width = 8
feed_forward = 16
patch = 4
[[steps]]
activation_bits = 32
epochs = 1
batch = 60
learning_rate = 3e-3
[[steps]]
activation_bits = 2
epochs = 2
batch = 60
learning_rate = 3e-3
hidden_weight = 0.5
attention_weight = 0.1
average = 0.9
"""


def log_of(folder, *launcher):
    """Train the recipe and read its log: rows with step, loss and validation accuracy."""
    recipe = folder / "toy.toml"
    recipe.write_text(RECIPE)
    command = [*launcher, "bittern", "train", str(recipe), "--output", str(folder), "--threads", "1", "--device", "cpu"]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False, timeout=600)
    assert done.returncode == 0, done.stderr
    with (folder / "log.csv").open(newline="") as file:
        return list(csv.DictReader(file)), done.stdout


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.mark.slow
def test_two_processes_have_the_loss_of_one_with_the_same_batches(tmp_path):
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    one, _ = log_of(tmp_path / "one")
    launcher = ("torchrun", "--nproc-per-node", "2", "--master-port", str(free_port()), "--no-python")
    two, printed = log_of(tmp_path / "two", *launcher)
    assert [row["step"] for row in one] == [row["step"] for row in two]
    losses = np.array([[float(row["loss"]) for row in rows] for rows in (one, two)])
    assert losses.shape[1] >= 6
    assert np.allclose(losses[0], losses[1], rtol=2e-3)
    assert printed.count("best.pt") == 1  # one process writes


def test_the_shards_of_a_batch_are_all_of_it():
    (index, *_) = batches(toy_dataset(100).train, 32, seed=1, epoch=0)
    for count in (1, 2, 3, 5):
        parts = shards(index, count)
        assert np.array_equal(np.concatenate(parts), index)
        assert max(map(len, parts)) - min(map(len, parts)) <= 1
