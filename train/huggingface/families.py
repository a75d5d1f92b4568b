"""The families that are known, and which of them a checkpoint is."""

from collections.abc import Iterable, Mapping
from typing import Any

from train.errors import CheckpointError
from train.huggingface.bert import BERT
from train.huggingface.deit import DEIT
from train.huggingface.distilbert import DISTILBERT
from train.huggingface.family import Family
from train.huggingface.roberta import ROBERTA
from train.huggingface.vit import VIT

FAMILIES = {family.name: family for family in (BERT, ROBERTA, DISTILBERT, VIT, DEIT)}
#: A tensor that gives a family away, the most particular first.
TELLING = (
    ("embeddings.distillation_token", "deit"), ("embeddings.cls_token", "vit"),
    ("transformer.layer.0.attention.q_lin.weight", "distilbert"), ("classifier.out_proj.weight", "roberta"),
    ("roberta.embeddings.word_embeddings.weight", "roberta"), ("lm_head.layer_norm.weight", "roberta"),
    ("encoder.layer.0.attention.self.query.weight", "bert"),
)  # fmt: skip


def family_of(config: Mapping[str, Any], names: Iterable[str], wanted: str | None = None) -> Family:
    """The `Family` of a checkpoint: the one that is wanted by name, that of its config.json, or that its tensors show.

    Raises CheckpointError for a family that is not known.
    """
    known = ", ".join(FAMILIES)
    if wanted is not None:
        if wanted not in FAMILIES:
            raise CheckpointError(f"the family must be one of {known}, not {wanted!r}")
        return FAMILIES[wanted]
    if kind := config.get("model_type"):
        found = [family for family in FAMILIES.values() if kind in family.types]
        if not found:
            raise CheckpointError(f"models of type {kind!r} are not supported, only those of {known}")
        return found[0]
    for tensor, name in TELLING:
        if any(tensor == part or part.endswith("." + tensor) for part in names):
            return FAMILIES[name]
    raise CheckpointError(f"there is no config.json, and the tensors are of no known family; name it with --family: {known}")
