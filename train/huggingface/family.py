"""What a family of checkpoints is described by: names of tensors, and where its configuration has what."""

from dataclasses import dataclass, field

from golden.model import Input, Order
from train.model.structure import Pooler


@dataclass(frozen=True)
class Family:
    """A layout of tensors. Names are without the prefix, and without ``.weight`` and ``.bias``; ``{}`` is a layer's number.

    Parameters
    ----------
    name : str
    types : tuple of str
        ``model_type`` in config.json.
    prefix : str
        What names begin with where the encoder is part of a model with a head.
    modules : dict of str to str
        Ours to theirs, for each linear layer and norm. ``{next}`` is the number of the next layer; where that is beyond
        the last one, ``last_norm`` takes its place.
    keys : dict of str to str
        Keys of config.json by what they hold: layers, width, heads, feed_forward, activation, and epsilon if it has a key.
    epsilon : float
        Of the norms, where no key says it.
    positions : str
        Name of the position embeddings; ``first_position`` is the row of the first token.
    token_types : str
        Embedding of which row 0 is added everywhere; empty if there is none.
    class_tokens : tuple of str
        Learned rows that come before the patches.
    pooler, pooler_of : str, Pooler
        Linear layer before the classifier, and its activation; ``base_pooler`` is that of a model without a classifier.
    classifier : str
        These names, and ``base_pooler``, have no prefix in front of them, or have one.
    ignored : tuple of str
        Beginnings of names of what has no part in classification: heads of pre-training, buffers.
    fixed : dict
        Keys of config.json of which another value is another model, and the value there must be.
    """

    name: str
    types: tuple[str, ...]
    prefix: str
    input: Input
    order: Order
    modules: dict[str, str]
    keys: dict[str, str]
    epsilon: float
    positions: str
    classifier: str
    first_position: int = 0
    token_types: str = ""
    class_tokens: tuple[str, ...] = ()
    last_norm: str = ""
    pooler: str = ""
    pooler_of: Pooler | None = None
    base_pooler: str = ""
    ignored: tuple[str, ...] = ()
    fixed: dict = field(default_factory=dict)
