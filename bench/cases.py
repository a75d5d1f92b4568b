"""What is measured: encoder shapes, precisions and external memories, by bench."""

from dataclasses import dataclass, replace
from typing import Any

from bench.names import Bench
from golden.codes import Kind
from golden.model import Format, Input
from sim.simulation import FULL_BANDWIDTH

#: Word pieces of BERT's vocabulary.
VOCABULARY = 30_522
#: A patch of 16 x 16 pixels in three colours.
PATCH = 16 * 16 * 3


@dataclass(frozen=True)
class Shape:
    """An encoder's structure. ``heads`` have 64 channels each, as in all published BERT and DeiT models."""

    name: str
    layers: int
    width: int
    heads: int
    feed_forward: int
    input: Input = Input.TOKENS
    input_size: int = VOCABULARY
    head_width: int = 64


BERT_BASE = Shape("BERT-base", 12, 768, 12, 3072)
SHAPES = (
    Shape("BERT-tiny", 2, 128, 2, 512),
    Shape("BERT-mini", 4, 256, 4, 1024),
    Shape("BERT-small", 4, 512, 8, 2048),
    Shape("BERT-medium", 8, 512, 8, 2048),
)
DEIT_TINY = Shape("DeiT-tiny", 12, 192, 3, 768, Input.PATCHES, PATCH)


@dataclass(frozen=True)
class Case:
    """One inference: W1 with ``bits`` bits of activation, ``tokens`` valid tokens.

    ``latency``: cycles from a read's address to its first beat; ``bandwidth``: beats per 256 cycles.
    """

    shape: Shape
    tokens: int = 128
    bits: int = 1
    latency: int = 40
    bandwidth: int = FULL_BANDWIDTH

    @property
    def name(self) -> str:
        memory = "" if self.latency == 40 else f", latency {self.latency}"
        return f"{self.shape.name} W1A{self.bits}, {self.tokens} tokens{memory}"

    def encoder(self) -> dict[str, Any]:
        """Parameters of `tb.models.random_encoder`: weights are bipolar, every activation has ``bits`` bits.

        Embedding table and weights of the classifier stay as they are there (1 and 8 bit), and so does the calibration
        on one input: speed does not depend on values.
        """
        shape = vars(self.shape) | {"tokens": self.tokens, "classes": 2, "calibration": 1}
        del shape["name"]
        if self.bits == 1:
            return shape
        signed, unsigned = Format(Kind.SIGNED, self.bits), Format(Kind.UNSIGNED, self.bits)
        both = dict.fromkeys(("codes", "query", "key", "value", "context"), signed)
        return shape | both | dict.fromkeys(("probability", "hidden"), unsigned)


_base = Case(BERT_BASE)
#: Measured benches; the others are made of their results.
BENCHES = {
    Bench.BERT_BASE: (_base, replace(_base, latency=100), *(replace(_base, bits=bits) for bits in (2, 4, 8))),
    Bench.SEQUENCE: tuple(replace(_base, tokens=tokens) for tokens in (64, 128, 256, 384, 512)),
    Bench.SHAPES: (*(Case(shape) for shape in SHAPES), Case(DEIT_TINY, tokens=197)),
}
