"""RoBERTa, and models of its layout: positions begin behind the padding id, the head has its pooler in itself."""

from golden.model import Input, Order
from train.huggingface.bert import FIXED, KEYS, MODULES
from train.huggingface.family import Family
from train.model.structure import Pooler

ROBERTA = Family(
    name="roberta", types=("roberta", "camembert", "xlm-roberta"), prefix="roberta.", input=Input.TOKENS, order=Order.POST,
    modules=MODULES, keys=KEYS, epsilon=1e-5, positions="embeddings.position_embeddings.weight", first_position=2,
    token_types="embeddings.token_type_embeddings.weight", pooler="classifier.dense", pooler_of=Pooler.TANH,
    base_pooler="pooler.dense", classifier="classifier.out_proj",
    ignored=("lm_head.", "embeddings.position_ids", "embeddings.token_type_ids"), fixed=FIXED,
)  # fmt: skip
