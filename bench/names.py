"""Names of the benches that measure whole models, and of those made of their results."""

from enum import StrEnum


class Bench(StrEnum):
    """In the order in which they run: the later ones are made of the earlier ones' results."""

    BERT_BASE = "bert-base"
    SEQUENCE = "sequence"
    SHAPES = "shapes"
    RESOURCES = "resources"
    COMPARISON = "comparison"

    @property
    def measured(self) -> bool:
        """Whether it runs models on the RTL; `bench.cases.BENCHES` says which."""
        return self not in (Bench.RESOURCES, Bench.COMPARISON)


#: What each is about.
ABOUT = {
    Bench.BERT_BASE: "BERT-base in several precisions, and on a slower memory",
    Bench.SEQUENCE: "BERT-base on texts of 64 to 512 tokens",
    Bench.SHAPES: "smaller BERT models, and DeiT-tiny",
    Bench.RESOURCES: "what the accelerator takes of the part, by open synthesis",
    Bench.COMPARISON: "beside what is published, from the results of the others",
}
#: The accelerator and the part that the pages are about.
PRESET, PART = "zcu102", "XCZU9EG"
