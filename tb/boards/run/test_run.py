"""`bittern run`: pictures and texts become the model inputs that travel with the bundle, and predictions come out."""


import numpy as np
import pytest
from PIL import Image

from boards.run.command import prepare
from cli.main import main
from formats.bundle import load
from formats.files import ROOT
from golden.encoder import encode

BUNDLES = ROOT / "bundles"
FASHION, SST2 = BUNDLES / "fashion-mnist-w1a1.bundle", BUNDLES / "sst2-w1a1.bundle"


def picture(index):
    """The image that a sample's overlapping patches are cut from."""
    image = np.zeros((28, 28), np.uint8)
    for number, patch in enumerate(load(FASHION).samples.inputs[index].reshape(9, 12, 12)):
        top, left = 8 * (number // 3), 8 * (number % 3)
        image[top : top + 12, left : left + 12] = patch
    return image


def test_texts_become_the_ids_of_the_samples():
    bundle = load(SST2)
    _, inputs, lengths = prepare(bundle, bundle.samples.texts)
    assert np.array_equal(inputs, bundle.samples.inputs)
    assert np.array_equal(lengths, bundle.samples.lengths)


def test_pictures_and_arrays_become_the_patches_of_the_samples(tmp_path):
    Image.fromarray(picture(0)).save(tmp_path / "a.png")
    np.save(tmp_path / "b.npy", np.stack([picture(1), picture(2)]))
    names, inputs, _ = prepare(load(FASHION), [str(tmp_path / "a.png"), str(tmp_path / "b.npy")])
    assert len(names) == 3
    assert np.array_equal(inputs, load(FASHION).samples.inputs[:3])


def test_a_prediction_is_printed_with_its_probability(tmp_path, capsys):
    Image.fromarray(picture(0)).save(tmp_path / "a.png")
    assert main(["run", str(FASHION), str(tmp_path / "a.png"), "--top", "1"]) == 0
    bundle = load(FASHION)
    logits = encode(bundle.encoder, bundle.samples.inputs[0], 9)["logits"].reshape(-1) / 1024  # ten fraction bits
    chances = np.exp(logits) / np.exp(logits).sum()
    assert bundle.labels[chances.argmax()] == "ankle boot"
    assert capsys.readouterr().out == f"{tmp_path}/a.png: ankle boot {100 * chances.max():.1f}%\n"


def test_a_batch_gives_the_predictions_of_one_after_another(tmp_path, capsys):
    np.save(tmp_path / "b.npy", np.stack([picture(index) for index in range(5)]))
    printed = []
    for batch in ("1", "4"):
        assert main(["run", str(FASHION), str(tmp_path / "b.npy"), "--batch", batch]) == 0
        printed.append(capsys.readouterr().out)
    assert printed[0] == printed[1]
    assert printed[0].count("\n") == 5


@pytest.mark.parametrize(("item", "on", "message"), [
    ("none.png", "golden", "there is no image at"), (str(FASHION), "golden", "is no picture that can be read"),
    (None, "/dev/uio77", "load the overlay"), (None, "nowhere", "--on takes golden, rtl"),
])  # fmt: skip
def test_what_cannot_be_used_is_one_sentence(item, on, message, tmp_path, capsys):
    Image.fromarray(picture(0)).save(tmp_path / "a.png")
    assert main(["run", str(FASHION), item or str(tmp_path / "a.png"), "--on", on]) == 2
    assert message in capsys.readouterr().err
