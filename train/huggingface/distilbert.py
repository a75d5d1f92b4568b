"""DistilBERT: no token types, and a ReLU before the classifier."""

from golden.model import Input, Order
from train.huggingface.family import Family
from train.model.structure import Pooler

DISTILBERT = Family(
    name="distilbert", types=("distilbert",), prefix="distilbert.", input=Input.TOKENS, order=Order.POST,
    modules={
        "embedding": "embeddings.word_embeddings",
        "embedding_norm": "embeddings.LayerNorm",
        "layers.{}.attention.query": "transformer.layer.{}.attention.q_lin",
        "layers.{}.attention.key": "transformer.layer.{}.attention.k_lin",
        "layers.{}.attention.value": "transformer.layer.{}.attention.v_lin",
        "layers.{}.attention.output": "transformer.layer.{}.attention.out_lin",
        "layers.{}.attention_norm": "transformer.layer.{}.sa_layer_norm",
        "layers.{}.feed_forward.up": "transformer.layer.{}.ffn.lin1",
        "layers.{}.feed_forward.down": "transformer.layer.{}.ffn.lin2",
        "layers.{}.feed_forward_norm": "transformer.layer.{}.output_layer_norm",
    },
    keys={
        "layers": "n_layers", "width": "dim", "heads": "n_heads", "feed_forward": "hidden_dim", "activation": "activation",
    },
    epsilon=1e-12, positions="embeddings.position_embeddings.weight", pooler="pre_classifier", pooler_of=Pooler.RELU,
    classifier="classifier",
    ignored=("vocab_transform.", "vocab_layer_norm.", "vocab_projector.", "embeddings.position_ids"),
)  # fmt: skip
