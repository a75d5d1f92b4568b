"""Descriptions of imported checkpoints, for tests that need no import."""

import dataclasses

from golden.model import Input
from train.run.description import FILE, FORMAT, Description, Shape, Source, to_json


def write_description(folder, model, tokenizer=None):
    """Describe an import of digits into a `train.run.recipe.Model`, with the tokenizer if there is one, in its folder."""
    known = {key: value for key, value in dataclasses.asdict(model).items() if key in Shape.__struct_fields__}
    shape = Shape(**known | {"tokens": 4, "classes": 10, "input": Input.PATCHES, "input_size": 16})
    description = Description(
        format=FORMAT, family="vit", config=shape, labels=tuple("0123456789"), source=Source(sha256={}), tokenizer=tokenizer
    )
    (folder / FILE).write_text(to_json(description))
