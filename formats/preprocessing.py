"""How raw input becomes a model's input: of images their cut into patches, of texts their tokenizer."""

from enum import StrEnum
from typing import Annotated, Any

from msgspec import Meta, to_builtins

from formats.decode import Part
from formats.tokenizer import check_tokenizer
from golden.codes import Kind
from golden.model import Encoder, Format, Input

#: Format of the codes of patches of pixels.
PIXELS = Format(Kind.UNSIGNED, 8)
Side = Annotated[int, Meta(ge=1, le=1 << 14)]


class Codes(StrEnum):
    """What a patch code stands for, and in which order they are."""

    PIXELS = "pixels 0..255, patches and pixels in them row by row"


class ImagePipeline(Part):
    """Grey images of ``image`` (height, width) pixels, cut as `golden.patches.to_patches` says."""

    image: tuple[Side, Side]
    patch: Side
    #: 0 is that of a patch.
    stride: Annotated[int, Meta(ge=0, le=1 << 14)] = 0
    class_tokens: Annotated[int, Meta(ge=0, le=16)] = 0
    codes: Codes = Codes.PIXELS

    def patches(self) -> int:
        """How many tokens an image becomes. Raises ValueError where patches do not end with it."""
        stride, count = self.stride or self.patch, 1
        for side in self.image:
            if self.patch > side or (side - self.patch) % stride:
                raise ValueError(
                    f"preprocessing.patch: patches of {self.patch} pixels, {stride} apart, must end with the image of "
                    f"{self.image[0]} x {self.image[1]}; choose patch and stride so that they do"
                )
            count *= (side - self.patch) // stride + 1
        return count + self.class_tokens

    def check(self, encoder: Encoder) -> None:
        config, made, size = encoder.config, self.patches(), self.patch**2
        tokens, codes = config.tokens, config.input_size
        _require(made == tokens, f"preprocessing makes {made} tokens of an image, but encoder.config.tokens is {tokens}")
        _require(
            size == codes,
            f"preprocessing.patch {self.patch} makes {size} codes of a patch, but encoder.config.input_size is {codes}",
        )
        kind, bits = encoder.embedding.input_format
        _require(
            (kind, bits) == PIXELS,
            f"preprocessing makes codes of 8 bits, but encoder.embedding.input_format is {kind.name.lower()} {bits}",
        )


class TextPipeline(Part):
    """``tokenizer`` is JSON of the `tokenizers` library; ``truncate`` the most ids of a text; None: what the model takes."""

    tokenizer: dict[str, Any]
    truncate: Annotated[int, Meta(ge=1, le=1 << 16)] | None = None

    def limit(self, tokens: int) -> int:
        """The most ids that a text becomes for a model that takes ``tokens``."""
        return tokens if self.truncate is None else self.truncate

    def check(self, encoder: Encoder) -> None:
        tokens, limit = encoder.config.tokens, self.limit(encoder.config.tokens)
        _require(limit <= tokens, f"preprocessing.truncate must be at most encoder.config.tokens, {tokens}, not {limit}")
        check_tokenizer(self.tokenizer, encoder.config.input_size, "preprocessing.tokenizer")


Pipeline = ImagePipeline | TextPipeline
PIPELINES: dict[Input, type[Pipeline]] = {Input.PATCHES: ImagePipeline, Input.TOKENS: TextPipeline}


def to_plain(pipeline: Pipeline | None) -> dict[str, Any]:
    """As it is in a file: empty for none."""
    return {} if pipeline is None else to_builtins(pipeline)


def _require(condition, message):
    if not condition:
        raise ValueError(message)
