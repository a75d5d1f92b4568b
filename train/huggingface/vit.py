"""ViT: pre-LN on patches behind a class token, from which it classifies."""

from golden.model import Input, Order
from train.huggingface.bert import KEYS
from train.huggingface.family import Family

#: What DeiT has too.
MODULES = {
    "embedding": "embeddings.patch_embeddings.projection",
    "embedding_norm": "encoder.layer.0.layernorm_before",
    "layers.{}.attention.query": "encoder.layer.{}.attention.attention.query",
    "layers.{}.attention.key": "encoder.layer.{}.attention.attention.key",
    "layers.{}.attention.value": "encoder.layer.{}.attention.attention.value",
    "layers.{}.attention.output": "encoder.layer.{}.attention.output.dense",
    "layers.{}.attention_norm": "encoder.layer.{}.layernorm_after",
    "layers.{}.feed_forward.up": "encoder.layer.{}.intermediate.dense",
    "layers.{}.feed_forward.down": "encoder.layer.{}.output.dense",
    "layers.{}.feed_forward_norm": "encoder.layer.{next}.layernorm_before",
}

VIT = Family(
    name="vit", types=("vit",), prefix="vit.", input=Input.PATCHES, order=Order.PRE, modules=MODULES, keys=KEYS,
    epsilon=1e-12, positions="embeddings.position_embeddings", class_tokens=("embeddings.cls_token",),
    last_norm="layernorm", classifier="classifier", ignored=("pooler.", "embeddings.mask_token", "decoder."),
)  # fmt: skip
