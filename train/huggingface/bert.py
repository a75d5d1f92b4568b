"""BERT, and models of its layout such as MiniLM."""

from golden.model import Input, Order
from train.huggingface.family import Family
from train.model.structure import Pooler

#: What RoBERTa has too.
MODULES = {
    "embedding": "embeddings.word_embeddings",
    "embedding_norm": "embeddings.LayerNorm",
    "layers.{}.attention.query": "encoder.layer.{}.attention.self.query",
    "layers.{}.attention.key": "encoder.layer.{}.attention.self.key",
    "layers.{}.attention.value": "encoder.layer.{}.attention.self.value",
    "layers.{}.attention.output": "encoder.layer.{}.attention.output.dense",
    "layers.{}.attention_norm": "encoder.layer.{}.attention.output.LayerNorm",
    "layers.{}.feed_forward.up": "encoder.layer.{}.intermediate.dense",
    "layers.{}.feed_forward.down": "encoder.layer.{}.output.dense",
    "layers.{}.feed_forward_norm": "encoder.layer.{}.output.LayerNorm",
}
KEYS = {
    "layers": "num_hidden_layers", "width": "hidden_size", "heads": "num_attention_heads",
    "feed_forward": "intermediate_size", "activation": "hidden_act", "epsilon": "layer_norm_eps",
}  # fmt: skip
FIXED = {"is_decoder": False, "add_cross_attention": False, "position_embedding_type": "absolute"}

BERT = Family(
    name="bert", types=("bert",), prefix="bert.", input=Input.TOKENS, order=Order.POST, modules=MODULES, keys=KEYS,
    epsilon=1e-12, positions="embeddings.position_embeddings.weight", token_types="embeddings.token_type_embeddings.weight",
    pooler="pooler.dense", pooler_of=Pooler.TANH, base_pooler="pooler.dense", classifier="classifier",
    ignored=("cls.", "embeddings.position_ids", "embeddings.token_type_ids"), fixed=FIXED,
)  # fmt: skip
