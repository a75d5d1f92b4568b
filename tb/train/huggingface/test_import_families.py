"""Imported encoders compute what `transformers` computes, for every family; nothing is downloaded."""

import json

import pytest

torch = pytest.importorskip("torch", reason="training needs the extra 'train'")
transformers = pytest.importorskip("transformers", reason="needs the extra 'import-test': pip install transformers")

from golden.model import Head, Input, Order  # noqa: E402
from train.errors import CheckpointError  # noqa: E402
from train.huggingface.convert import Wishes, convert  # noqa: E402
from train.huggingface.files import read_checkpoint  # noqa: E402
from train.model.structure import Activation, Pooler  # noqa: E402

TOLERANCE = 1e-4
SIZES = dict(hidden_size=24, num_hidden_layers=3, num_attention_heads=4, intermediate_size=40)
TEXT = dict(vocab_size=50, max_position_embeddings=20, **SIZES)
IMAGE = dict(image_size=8, patch_size=4, **SIZES)
MEAN, DEVIATION = [0.4, 0.5, 0.6], [0.2, 0.3, 0.4]


def saved(folder, model, classes=None, **config):
    """A random model of a class of transformers, in evaluation mode, saved in ``folder``; parameters are all over."""
    torch.manual_seed(len(model))
    labels = {"num_labels": classes} if classes else {}
    kind = getattr(transformers, model)
    made = kind(kind.config_class(**config, **labels)).eval()
    for parameter in made.parameters():
        parameter.data = parameter.data * 2 + 0.2 * torch.randn_like(parameter)
    made.save_pretrained(folder)
    return made


def text_batch():
    rng = torch.Generator().manual_seed(3)
    ids, lengths = torch.randint(3, 50, (6, 16), generator=rng), torch.tensor([16, 1, 5, 12, 16, 9])
    mask = torch.arange(16) < lengths[:, None]
    return ids, lengths, mask


def compare_text(theirs, encoder, logits=True, pad=0):
    ids, lengths, mask = text_batch()
    with torch.no_grad():
        expected = theirs(input_ids=torch.where(mask, ids, pad), attention_mask=mask.long(), output_hidden_states=True)
        mine, streams, _ = encoder(ids, lengths)
    for stream, state in zip(streams, expected.hidden_states, strict=True):
        assert (stream - state)[mask].abs().max() <= TOLERANCE
        assert state[mask].std() > 0.5
    if logits:
        assert (mine - expected.logits).abs().max() <= TOLERANCE
        assert expected.logits.std() > 0.1


@pytest.mark.parametrize(
    ("model", "config"),
    [
        ("BertForSequenceClassification", {**TEXT}),
        ("BertForSequenceClassification", {**TEXT, "hidden_act": "relu", "layer_norm_eps": 1e-3}),
        ("BertForSequenceClassification", {**TEXT, "hidden_act": "gelu_new"}),
        ("RobertaForSequenceClassification", {**TEXT, "max_position_embeddings": 22, "pad_token_id": 1}),
        ("DistilBertForSequenceClassification",
         dict(vocab_size=50, max_position_embeddings=20, dim=24, n_layers=3, n_heads=4, hidden_dim=40)),
    ],
)  # fmt: skip
@pytest.mark.parametrize("file", ["model.safetensors", "pytorch_model.bin"])
def test_a_text_classifier_gives_the_same_logits(model, config, file, tmp_path):
    theirs = saved(tmp_path, model, 3, **config)
    if file == "pytorch_model.bin":
        torch.save(theirs.state_dict(), tmp_path / file)
        (tmp_path / "model.safetensors").unlink()
    imported = convert(read_checkpoint(tmp_path), Wishes())
    assert imported.encoder.config.head is Head.CLS
    assert imported.labels == ("LABEL_0", "LABEL_1", "LABEL_2")
    compare_text(theirs, imported.encoder, pad=config.get("pad_token_id", 0))


@pytest.mark.parametrize("model", ["BertModel", "RobertaModel"])
@pytest.mark.parametrize("head", [Head.MEAN, Head.CLS])
def test_an_encoder_without_a_classifier_gives_the_same_states_and_gets_a_new_one(model, head, tmp_path):
    theirs = saved(tmp_path, model, **TEXT, pad_token_id=1)
    imported = convert(read_checkpoint(tmp_path), Wishes(("a", "b"), head=head, tokens=16))
    compare_text(theirs, imported.encoder, logits=False, pad=1)
    assert imported.encoder.structure.pooler is (Pooler.TANH if head is Head.CLS else None)
    ids, lengths, mask = text_batch()
    with torch.no_grad():
        expected = theirs(input_ids=torch.where(mask, ids, 1), attention_mask=mask.long())
        pooled = expected.pooler_output
        if head is Head.MEAN:
            pooled = (expected.last_hidden_state * mask[..., None]).sum(1) / lengths[:, None]
        logits = imported.encoder.classifier(pooled)
        assert (imported.encoder(ids, lengths)[0] - logits).abs().max() <= TOLERANCE


def test_old_names_of_norms_and_heads_of_pre_training_are_known(tmp_path):
    theirs = saved(tmp_path, "BertForMaskedLM", **TEXT)
    state = {
        name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta"): value.clone()
        for name, value in theirs.state_dict().items()
    }
    assert any(name.endswith("gamma") for name in state)
    (tmp_path / "model.safetensors").unlink()
    torch.save(state, tmp_path / "pytorch_model.bin")
    imported = convert(read_checkpoint(tmp_path), Wishes(("a", "b")))
    compare_text(theirs, imported.encoder, logits=False)


@pytest.mark.parametrize("model", ["BertForSequenceClassification", "RobertaForSequenceClassification",
                                   "DistilBertForSequenceClassification"])  # fmt: skip
def test_without_a_config_the_shape_comes_from_the_tensors(model, tmp_path):
    config = dict(TEXT, max_position_embeddings=22)
    if model.startswith("Distil"):
        config = dict(vocab_size=50, max_position_embeddings=22, dim=24, n_layers=3, n_heads=4, hidden_dim=40)
    theirs = saved(tmp_path, model, 2, **config)
    whole = convert(read_checkpoint(tmp_path), Wishes())
    (tmp_path / "config.json").unlink()
    imported = convert(read_checkpoint(tmp_path), Wishes(heads=4))
    assert imported.encoder.config == whole.encoder.config
    assert imported.family == theirs.config.model_type
    assert "no config.json says the activation: GELU is assumed" in imported.notes


def images(channels):
    """Pixels 0..255 of 8 x 8 images, (5, channels, 8, 8)."""
    return torch.randint(256, (5, channels, 8, 8), generator=torch.Generator().manual_seed(4))


def patches(pixels, class_tokens):
    """Codes as the encoder takes them: zeros for class tokens, then patches of 4 x 4, channel by channel."""
    cut = pixels.unfold(2, 4, 4).unfold(3, 4, 4).permute(0, 2, 3, 1, 4, 5).flatten(3).flatten(1, 2)
    return torch.nn.functional.pad(cut, (0, 0, class_tokens, 0))


@pytest.mark.parametrize("model", ["ViTForImageClassification", "DeiTForImageClassification"])
@pytest.mark.parametrize("changes", [{}, {"num_channels": 1}, {"qkv_bias": False, "hidden_act": "gelu_pytorch_tanh"}])
@pytest.mark.parametrize("grey", [False, True])
def test_an_image_classifier_gives_the_same_logits_from_pixels(model, changes, grey, tmp_path):
    channels = changes.get("num_channels", 3)
    theirs = saved(tmp_path, model, 4, **IMAGE, **changes)
    rules = {"image_mean": MEAN[:channels], "image_std": DEVIATION[:channels]}
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(rules))
    imported = convert(read_checkpoint(tmp_path), Wishes(image=8 if grey else None))
    encoder = imported.encoder
    assert encoder.config.order is Order.PRE
    assert encoder.config.head is Head.CLS
    assert encoder.config.input is Input.PATCHES
    assert (imported.image, imported.patch) == (8, 4)
    pixels = images(1 if grey else channels)
    mean, deviation = (torch.tensor(rules[key])[:, None, None] for key in ("image_mean", "image_std"))
    codes = patches(pixels, imported.class_tokens)
    assert imported.class_tokens == (2 if model.startswith("DeiT") else 1)
    with torch.no_grad():
        expected = theirs((pixels.expand(-1, channels, -1, -1) / 255 - mean) / deviation, output_hidden_states=True)
        logits, streams, _ = encoder(codes, torch.full((5,), codes.shape[1]))
    for stream, state in zip(streams, expected.hidden_states, strict=True):
        assert (stream - state).abs().max() <= TOLERANCE
    assert (logits - expected.logits).abs().max() <= TOLERANCE
    assert expected.logits.std() > 0.1


def test_a_vit_without_a_config_is_known_by_its_tensors(tmp_path):
    theirs = saved(tmp_path, "ViTForImageClassification", 4, **IMAGE)
    (tmp_path / "config.json").unlink()
    imported = convert(read_checkpoint(tmp_path), Wishes(heads=4))
    pixels = images(3)
    with torch.no_grad():
        expected = theirs(pixels / 255 * 2 - 1).logits
        codes = patches(pixels, 1)
        logits = imported.encoder(codes, torch.full((5,), codes.shape[1]))[0]
    assert (logits - expected).abs().max() <= TOLERANCE
    assert any("mean and deviation 0.5 are assumed" in note for note in imported.notes)
    assert imported.encoder.structure.activation is Activation.GELU


@pytest.mark.parametrize(
    ("model", "config", "word"),
    [
        ("DeiTForImageClassificationWithTeacher", IMAGE, "cls_classifier"),
        ("BertForQuestionAnswering", TEXT, "qa_outputs"),
        ("BertForSequenceClassification", {**TEXT, "hidden_act": "silu"}, "'silu' is not supported"),
        ("BertLMHeadModel", {**TEXT, "is_decoder": True}, "is_decoder = True"),
        ("ElectraModel", {**TEXT, "embedding_size": 24}, "'electra' are not supported"),
    ],
)
def test_what_is_not_supported_is_named(model, config, word, tmp_path):
    saved(tmp_path, model, **config)
    with pytest.raises(CheckpointError, match=word) as caught:
        convert(read_checkpoint(tmp_path), Wishes(("a", "b")))
    assert "\n" not in str(caught.value)
