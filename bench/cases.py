"""What is measured: encoder shapes, precisions and external memories, by bench."""

from dataclasses import dataclass, replace
from typing import Any

from bench.names import Bench
from codesign.timing.clocks import clock_of
from golden.codes import Kind
from golden.model import Format, Input
from isa.config import AcceleratorConfig
from isa.memory_timing import PLAIN_NAME, NamedTiming, named_timing

#: The board whose memory is behind all cases unless another one is named.
AS_CONNECTED = "zcu102"
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
    """One run of ``batch`` inferences: W1 with ``bits`` bits of activation, ``tokens`` valid tokens.

    ``memory`` is that of a board as its project connects it, at the clock that all rates are told by, or plain; then
    ``latency`` and ``bandwidth`` (port beats per 256 cycles) are all that there is of it.
    """

    shape: Shape
    tokens: int = 128
    bits: int = 1
    memory: str = AS_CONNECTED
    latency: int | None = None
    bandwidth: int | None = None
    batch: int = 1

    @property
    def name(self) -> str:
        batch = "" if self.batch == 1 else f", batch {self.batch}"
        memory = "" if self.memory == AS_CONNECTED else f", {self.memory} memory"
        memory += "" if self.latency is None else f", latency {self.latency}"
        memory += "" if self.bandwidth is None else f", bandwidth {self.bandwidth}/256"
        return f"{self.shape.name} W1A{self.bits}, {self.tokens} tokens{batch}{memory}"

    def external(self, config: AcceleratorConfig) -> NamedTiming:
        """Memory as the simulation of ``config`` has it. Raises UsageError for a board that lacks the ports."""
        asked = {"latency": self.latency, "bandwidth": self.bandwidth}
        given = {name: value for name, value in asked.items() if value is not None}
        return named_timing(self.memory, clock_of(config).mhz, config, **given)

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
    Bench.BERT_BASE: (
        _base,
        replace(_base, batch=4),
        replace(_base, tokens=32, batch=8),
        replace(_base, memory=PLAIN_NAME),
        *(replace(_base, bits=bits) for bits in (2, 4)),
    ),
    Bench.SEQUENCE: tuple(replace(_base, tokens=tokens) for tokens in (64, 128, 256, 384, 512)),
    Bench.SHAPES: (
        *(Case(shape) for shape in SHAPES),
        Case(DEIT_TINY, tokens=197),
        *(Case(shape, batch=8) for shape in SHAPES[:2]),
        Case(DEIT_TINY, tokens=197, batch=4),
    ),
}
