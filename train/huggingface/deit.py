"""DeiT: a ViT with a distillation token behind the class token; what classifies from both is not supported."""

from golden.model import Input, Order
from train.huggingface.bert import KEYS
from train.huggingface.family import Family
from train.huggingface.vit import MODULES

DEIT = Family(
    name="deit", types=("deit",), prefix="deit.", input=Input.PATCHES, order=Order.PRE, modules=MODULES, keys=KEYS,
    epsilon=1e-12, positions="embeddings.position_embeddings",
    class_tokens=("embeddings.cls_token", "embeddings.distillation_token"), last_norm="layernorm",
    classifier="classifier", ignored=("pooler.", "embeddings.mask_token", "decoder."),
)  # fmt: skip
