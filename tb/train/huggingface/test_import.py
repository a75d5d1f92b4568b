"""`bittern import`: what it writes, that recipes start from it, and one sentence for whatever is wrong."""

import hashlib
import json
import stat

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs the extra 'train'")

from safetensors.torch import load_file, save_file  # noqa: E402

from cli.main import main  # noqa: E402
from tb.train.toys import toy_texts  # noqa: E402
from train.huggingface.folder import load_imported  # noqa: E402
from train.model.structure import Activation, Pooler, Structure  # noqa: E402
from train.run.loop import train  # noqa: E402
from train.run.recipe import read_recipe  # noqa: E402
from train.run.start import read_start  # noqa: E402

WIDTH, HIDDEN, LAYERS, PIECES, POSITIONS = 12, 20, 2, 30, 9
CONFIG = {
    "model_type": "bert", "num_hidden_layers": LAYERS, "hidden_size": WIDTH, "num_attention_heads": 3,
    "intermediate_size": HIDDEN, "hidden_act": "gelu", "layer_norm_eps": 1e-7,
    "id2label": {"0": "bad", "1": "good", "2": "unsure"},
}  # fmt: skip
PIECES_OF_TEXT = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "good", "bad", "##ly"]


def bert_state(classes=3):
    """Tensors of a BERT classifier as `transformers` names them, random."""
    rng = torch.Generator().manual_seed(1)
    state = {}

    def linear(name, outputs, inputs):
        state[f"{name}.weight"] = torch.randn(outputs, inputs, generator=rng)
        state[f"{name}.bias"] = torch.randn(outputs, generator=rng)

    def norm(name):
        state[f"{name}.weight"], state[f"{name}.bias"] = (torch.randn(WIDTH, generator=rng) for _ in range(2))

    tables = {"word_embeddings": PIECES, "position_embeddings": POSITIONS, "token_type_embeddings": 2}
    for name, rows in tables.items():
        state[f"bert.embeddings.{name}.weight"] = torch.randn(rows, WIDTH, generator=rng)
    norm("bert.embeddings.LayerNorm")
    for index in range(LAYERS):
        layer = f"bert.encoder.layer.{index}"
        for part in ("self.query", "self.key", "self.value", "output.dense"):
            linear(f"{layer}.attention.{part}", WIDTH, WIDTH)
        linear(f"{layer}.intermediate.dense", HIDDEN, WIDTH)
        linear(f"{layer}.output.dense", WIDTH, HIDDEN)
        norm(f"{layer}.attention.output.LayerNorm")
        norm(f"{layer}.output.LayerNorm")
    linear("bert.pooler.dense", WIDTH, WIDTH)
    linear("classifier", classes, WIDTH)
    return state


@pytest.fixture
def source(tmp_path):
    """A folder with a small BERT classifier."""
    folder = tmp_path / "source"
    folder.mkdir()
    save_file(bert_state(), folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps(CONFIG))
    (folder / "vocab.txt").write_text("\n".join(PIECES_OF_TEXT))
    return folder


def imported(source, *arguments):
    output = source.parent / "out"
    assert main(["import", str(source), "-o", str(output), *arguments]) == 0
    return output


def test_the_folder_holds_shape_classes_hashes_and_tokenizer(source, capsys):
    output = imported(source)
    assert "classes bad, good, unsure" in capsys.readouterr().out
    encoder, description = load_imported(output)
    assert encoder.structure == Structure(Activation.GELU, epsilon=1e-7, pooler=Pooler.TANH)
    assert (encoder.config.layers, encoder.config.heads, encoder.config.tokens) == (LAYERS, 3, POSITIONS)
    assert description.labels == ("bad", "good", "unsure")
    digest = hashlib.sha256((source / "model.safetensors").read_bytes()).hexdigest()
    assert description.source.sha256 == {"model.safetensors": digest}
    state = bert_state()
    assert torch.equal(encoder.classifier.weight, state["classifier.weight"])
    position = state["bert.embeddings.position_embeddings.weight"] + state["bert.embeddings.token_type_embeddings.weight"][0]
    assert torch.equal(encoder.position, position)
    assert sorted(path.name for path in source.parent.iterdir()) == ["out", "source"]


def test_whoever_may_read_one_file_of_the_folder_may_read_the_other(source):
    start = imported(source, "--task", "sst2", "--new-classifier")
    description, weights = (stat.S_IMODE((start / name).stat().st_mode) for name in ("bittern.json", "model.safetensors"))
    assert description == weights


def test_vocab_txt_makes_a_tokenizer(source):
    from tokenizers import Tokenizer

    _, description = load_imported(imported(source))
    tokenizer = Tokenizer.from_str(json.dumps(description.tokenizer))
    assert tokenizer.encode("Badly GOOD film").tokens == ["[CLS]", "bad", "##ly", "good", "[UNK]", "[SEP]"]


def test_shards_are_put_together(source):
    state = bert_state()
    names = sorted(state)
    parts = {"a.safetensors": names[:10], "b.safetensors": names[10:]}
    for file, part in parts.items():
        save_file({name: state[name] for name in part}, source / file)
    index = {"weight_map": {name: file for file, part in parts.items() for name in part}}
    (source / "model.safetensors.index.json").write_text(json.dumps(index))
    whole = load_file(imported(source) / "model.safetensors")
    (source / "model.safetensors").unlink()
    (source.parent / "out").rename(source.parent / "whole")
    shards = load_file(imported(source) / "model.safetensors")
    assert all(torch.equal(whole[name], shards[name]) for name in whole)


RECIPE = """
task = "sst2"
seed = 1
start = "{start}"

[[steps]]
activation_bits = 32
epochs = 1
batch = 32
learning_rate = 1e-3

[[steps]]
activation_bits = 32
activation = "relu"
epochs = 1
batch = 32
learning_rate = 1e-3

[[steps]]
activation_bits = 4
epochs = 1
batch = 32
learning_rate = 1e-3
"""


def test_a_recipe_starts_from_it_heals_on_relu_and_goes_down_to_bits(source, tmp_path):
    start = imported(source, "--task", "sst2", "--new-classifier", "--head", "cls", "--tokens", "8")
    path = tmp_path / "recipe.toml"
    path.write_text(RECIPE.format(start=start))
    recipe = read_recipe(path)
    weights, tokenizer = read_start(recipe)
    assert tokenizer.get_vocab_size() == len(PIECES_OF_TEXT)
    teacher, healed, model = train(recipe, toy_texts(64), tmp_path / "stages", start=weights)
    assert [part.structure.activation for part in (teacher, healed)] == [Activation.GELU, Activation.RELU]
    assert {part.structure.epsilon for part in (teacher, healed, model)} == {1e-7}
    moved = (teacher.position - weights["position"]).abs().max()
    assert 0 < moved < 0.1
    assert model.pooler.quantizer.format is not None
    assert teacher.embedding.weight.shape == (PIECES, WIDTH)


def refused(capsys, source, *arguments):
    """The one sentence of a refused import, which leaves nothing behind."""
    before = sorted(path.name for path in source.parent.iterdir())
    assert main(["import", str(source), "-o", str(source.parent / "out"), *arguments]) == 2
    printed = capsys.readouterr()
    assert printed.err.startswith("bittern: ")
    assert printed.err.count("\n") == 1
    assert sorted(path.name for path in source.parent.iterdir()) == before
    return printed.err


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["--task", "sst2"], "has 3 classes, but the task has 2; add --new-classifier"),
        (["--task", "chess"], "--task must be one of fashion-mnist"),
        (["--new-classifier"], "with --task"),
        (["--tokens", "10"], "must be in 1..9, not 10"),
        (["--sha256", "00ff"], "must have a sha256 that begins with 00ff"),
        (["--family", "gpt"], "the family must be one of bert"),
        (["--family", "vit"], "lacks encoder.layer.0.attention.attention.query.weight"),
        (["--heads", "5"], "must divide the width of 12, not be 5"),
    ],
)
def test_wishes_that_cannot_be_met_are_refused(arguments, word, source, capsys):
    assert word in refused(capsys, source, *arguments)


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"model_type": "gpt2"}, "'gpt2' are not supported, only those of bert"),
        ({"hidden_act": "swish"}, "'swish' is not supported"),
        ({"position_embedding_type": "relative_key"}, "position_embedding_type = 'relative_key'"),
        ({"hidden_size": 16}, "hidden_size = 16, but the tensors have 12"),
        ({"num_hidden_layers": 3}, "num_hidden_layers = 3, but the tensors have 2"),
    ],
)
def test_a_configuration_of_another_model_is_refused(change, word, source, capsys):
    (source / "config.json").write_text(json.dumps(CONFIG | change))
    assert word in refused(capsys, source)


def without(state, name):
    return {key: value for key, value in state.items() if key != name}


@pytest.mark.parametrize(
    ("change", "word"),
    [
        (lambda s: without(s, "bert.encoder.layer.1.output.dense.weight"), "lacks encoder.layer.1.output.dense.weight"),
        (lambda s: without(s, "bert.encoder.layer.0.intermediate.dense.bias"), "lacks encoder.layer.0.intermediate"),
        (lambda s: s | {"bert.encoder.layer.0.adapter.weight": torch.ones(1)}, "bert.encoder.layer.0.adapter.weight is not"),
        (lambda s: s | {"bert.encoder.layer.1.output.dense.weight": torch.ones(12, 3)}, "must have shape (12, 20), not"),
    ],
)  # fmt: skip
def test_tensors_that_are_missing_unknown_or_of_another_shape_are_named(change, word, source, capsys):
    save_file(change(bert_state()), source / "model.safetensors")
    assert word in refused(capsys, source)


def test_no_config_needs_the_number_of_heads(source, capsys):
    (source / "config.json").unlink()
    assert "give --heads" in refused(capsys, source)


@pytest.mark.parametrize("file", ["model.safetensors", "pytorch_model.bin", "config.json", "tokenizer.json"])
@pytest.mark.parametrize("content", [b"", b"\x80\x04nonsense", b"[1, 2"])
def test_a_damaged_file_is_refused(file, content, source, capsys):
    if file == "pytorch_model.bin":
        (source / "model.safetensors").unlink()
    (source / file).write_bytes(content)
    assert file in refused(capsys, source)


def test_a_missing_checkpoint_and_an_empty_folder_are_refused(tmp_path, capsys):
    source = tmp_path / "source"
    assert "there is no checkpoint at" in refused(capsys, source)
    source.mkdir()
    assert "has none of model.safetensors" in refused(capsys, source)


def test_nothing_is_overwritten(source, capsys):
    output = imported(source)
    capsys.readouterr()
    before = (output / "bittern.json").read_bytes()
    assert "is not overwritten" in refused(capsys, source)
    assert (output / "bittern.json").read_bytes() == before


def test_pixels_of_a_grey_image_stand_for_all_channels():
    from train.huggingface.pixels import projection

    rng = np.random.default_rng(0)
    weight, bias = torch.tensor(rng.normal(size=(5, 3, 2, 2))).float(), torch.tensor(rng.normal(size=5)).float()
    rules = {"image_mean": [0.4, 0.5, 0.6], "image_std": [0.2, 0.3, 0.4]}
    grey = torch.tensor(rng.random((2, 2))).float()
    expected = bias.clone()
    for channel in range(3):
        normal = (grey - rules["image_mean"][channel]) / rules["image_std"][channel]
        expected += (weight[:, channel] * normal).sum((1, 2))
    folded, added = projection(weight, bias, rules, grey=True)
    assert torch.allclose(folded @ grey.flatten() + added, expected, atol=1e-5)
