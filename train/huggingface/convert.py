"""Conversion: a checkpoint in Hugging Face layout to an encoder of ours in full precision, with the same outputs."""

from dataclasses import dataclass, field

import torch

from golden.model import Attention, EncoderConfig, Head, Input, Order
from train.errors import CheckpointError
from train.huggingface.families import family_of
from train.huggingface.files import Checkpoint
from train.huggingface.parameters import ends, image_embedding, modules, text_embedding
from train.huggingface.pixels import side_of
from train.huggingface.shape import shape_of
from train.huggingface.tensors import Tensors
from train.model.bmt import BmtEncoder
from train.model.structure import Structure

#: Tokens of a text, where nobody says how many.
TOKENS = 128
#: Fraction bits of the stream: one that is never normalised grows.
FRACTION = {Order.POST: 10, Order.PRE: 8}


@dataclass(frozen=True)
class Wishes:
    """What a user says besides the checkpoint. None leaves it to the checkpoint.

    ``labels`` of the classes; ``head``; ``heads`` and ``family``, where there is no config.json; ``tokens`` of a text;
    ``residual_fraction``; ``image`` side in pixels of the grey images it will see; ``new_classifier`` drops the old one.
    """

    labels: tuple[str, ...] | None = None
    head: Head | None = None
    heads: int | None = None
    family: str | None = None
    tokens: int | None = None
    residual_fraction: int | None = None
    image: int | None = None
    new_classifier: bool = False


@dataclass(frozen=True)
class Imported:
    """``encoder`` in full precision. ``image`` and ``patch`` are sides in pixels, 0 for text."""

    encoder: BmtEncoder
    family: str
    labels: tuple[str, ...]
    image: int = 0
    patch: int = 0
    class_tokens: int = 0
    notes: list[str] = field(default_factory=list)


def convert(checkpoint: Checkpoint, wishes: Wishes) -> Imported:
    """`Imported` from a `train.huggingface.files.Checkpoint`. Raises CheckpointError."""
    family = family_of(checkpoint.config, checkpoint.state, wishes.family)
    tensors = Tensors(checkpoint.state, family)
    shape = shape_of(tensors, checkpoint.config, wishes.heads)
    notes = list(shape.notes)
    head, classifier, pooler = _head(tensors, wishes)
    labels = _labels(tensors, classifier, checkpoint.config, wishes)
    if classifier is None:
        notes.append("the classifier is new and knows nothing yet")
    text = family.input is Input.TOKENS
    image = 0 if text else side_of(shape, checkpoint.config)
    if wishes.image is not None and not text and image != wishes.image:
        raise CheckpointError(
            f"the checkpoint takes images of {image} x {image} pixels, but the task has {wishes.image} x {wishes.image}; "
            "import one that was trained on that size"
        )
    grey = not text and (wishes.image is not None or shape.channels == 1)
    config = EncoderConfig(
        layers=shape.layers, width=shape.width, heads=shape.heads, head_width=shape.width // shape.heads,
        feed_forward=shape.feed_forward, tokens=_tokens(shape, family, wishes), classes=len(labels), input=family.input,
        order=family.order, attention=Attention.SOFTMAX, head=head,
        input_size=shape.patch**2 if grey else shape.input_size,
        residual_fraction=FRACTION[family.order] if wishes.residual_fraction is None else wishes.residual_fraction,
    )  # fmt: skip
    structure = Structure(shape.activation, epsilon=shape.epsilon, pooler=family.pooler_of if pooler else None)
    torch.manual_seed(0)
    encoder = BmtEncoder(config, None, structure=structure)
    state = modules(tensors, shape.layers) | ends(tensors, {"classifier": classifier, "pooler.linear": pooler})
    if text:
        state |= text_embedding(tensors, config.tokens)
    else:
        state |= image_embedding(tensors, checkpoint.preprocessor, grey)
        if "image_mean" not in checkpoint.preprocessor:
            notes.append("no preprocessor_config.json says how pixels are normalised: mean and deviation 0.5 are assumed")
    tensors.check_all_taken(tuple(f"{name}." for name in (family.classifier, family.pooler, family.base_pooler) if name))
    _load(encoder, state, tensors)
    return Imported(encoder.eval(), family.name, labels, image, shape.patch, len(family.class_tokens), notes)


def _head(tensors, wishes):
    """Head, and the names of classifier and pooler; None for a classifier that is new, and for no pooler.

    A classifier goes with the class token it was trained on. Without one a text is its mean, an image its class token.
    """
    family = tensors.family
    kept = f"{family.classifier}.weight" in tensors and not wishes.new_classifier and wishes.head in (None, Head.CLS)
    if kept:
        return Head.CLS, family.classifier, family.pooler or None
    head = wishes.head or (Head.MEAN if family.input is Input.TOKENS else Head.CLS)
    pooler = family.base_pooler if head is Head.CLS and f"{family.base_pooler}.weight" in tensors else None
    return head, None, pooler


def _labels(tensors, classifier, config, wishes):
    if classifier is None:
        if wishes.labels is None:
            raise CheckpointError("no classifier is taken from the checkpoint; name the task, for its classes, with --task")
        return wishes.labels
    classes = len(tensors.take(f"{classifier}.weight"))
    if wishes.labels is None:
        names = config.get("id2label") or {}
        return tuple(str(names.get(str(index), f"LABEL_{index}")) for index in range(classes))
    if len(wishes.labels) != classes:
        raise CheckpointError(
            f"the classifier of the checkpoint has {classes} classes, but the task has {len(wishes.labels)}; add "
            "--new-classifier to begin with a new one"
        )
    return wishes.labels


def _tokens(shape, family, wishes):
    positions = shape.positions + len(family.class_tokens)
    if family.input is not Input.TOKENS:
        return positions
    if wishes.tokens is not None and not 1 <= wishes.tokens <= positions:
        raise CheckpointError(
            f"the checkpoint has {positions} positions, so --tokens must be in 1..{positions}, not {wishes.tokens}"
        )
    return min(wishes.tokens or TOKENS, positions)


def _load(encoder, state, tensors):
    """Give the encoder the tensors. Raises CheckpointError, naming it, for one of another shape."""
    expected = encoder.state_dict()
    for name, tensor in state.items():
        if tensor.shape != expected[name].shape:
            raise CheckpointError(
                f"{name} of the {tensors.family.name} checkpoint must have shape {tuple(expected[name].shape)}, not "
                f"{tuple(tensor.shape)}"
            )
    encoder.load_state_dict(expected | state)
