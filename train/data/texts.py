"""Text data sets: SST-2 and CoLA as GLUE has them, in word pieces."""

import csv
import json
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer

from formats.preprocessing import TextPipeline
from train.data.sets import Dataset, Split, read
from train.data.tasks import Task, labels_of
from train.data.tokenizer import tokenize, train_tokenizer
from train.errors import DataError

SST2_ADVICE = (
    "SST-2 is read from a folder named by --data or BITTERN_SST2, with train.tsv (60,614 sentences), dev.tsv (6,735) "
    "and test.tsv (the 872 of the GLUE validation set)"
)
SST2_HASHES = {
    "train.tsv": "920e317b2c52e12cd22db1da2c6708312bd7dc4f3712b9bbf1b50ee6c2c792ba",
    "dev.tsv": "92353770071a2a889f75d000a38a9e541ea8f0a5499e50f040b17917a5cbf66f",
    "test.tsv": "54a9c12c77e402fc14d6a66a506f24d999f596b0176eb777c972cccc2f9cc4b0",
}
COLA_ADVICE = (
    "CoLA is read from a folder named by --data or BITTERN_COLA, with train.tsv (7,250 sentences), val.tsv (1,301) "
    "and dev.tsv (the 1,043 of the GLUE validation set)"
)
#: Training, validation, test; the last is the validation set of GLUE, which papers report on.
COLA_HASHES = {
    "train.tsv": "e1a908079e16a3758dfd439b2aedb4edbd3c1f4d3acb1876f4b920aa92c7d358",
    "val.tsv": "7db5a40c6af005593a832f4ca018d3ae1a6dc33ea6fd2eb62cabf46caaf1c9dc",
    "dev.tsv": "8c013e21dc39957cac37378d87bebe225b694a0d5fe13eded66c2856628833fd",
}


def load(task: Task, folder: Path | str | None, vocabulary: int, tokens: int, tokenizer: Tokenizer | None = None) -> Dataset:
    """A set as word pieces, cut to ``tokens``: of ``tokenizer``, or one of ``vocabulary`` trained on its training texts."""
    readable = {
        Task.SST2: (SST2_HASHES, SST2_ADVICE, _parse_sst2),
        Task.COLA: (COLA_HASHES, COLA_ADVICE, _parse_cola),
    }
    if task not in readable:
        raise DataError(f"data of task {task} cannot be read, of texts only of {', '.join(readable)}; take one of these")
    hashes, advice, parse = readable[task]
    if not folder:
        raise DataError(f"{advice}; no folder is named")
    if tokens < 2:
        raise DataError(f"tokens in the recipe's model must be at least 2 for a text, not {tokens}; set tokens")
    parts = [parse(read(folder, name, digest, advice).decode()) for name, digest in hashes.items()]
    if tokenizer is None:
        tokenizer = train_tokenizer([text for text, _ in parts[0]], vocabulary)
    elif tokenizer.get_vocab_size() > vocabulary:
        raise DataError(
            f"the tokenizer has {tokenizer.get_vocab_size()} pieces, more than the model's vocabulary of {vocabulary}; "
            "give the tokenizer that the model was trained with"
        )

    def split(rows):
        texts, classes = zip(*rows, strict=True)
        inputs, lengths = tokenize(tokenizer, texts, tokens)
        return Split(inputs, lengths, np.array(classes, np.int64), texts)

    preprocessing = TextPipeline(tokenizer=json.loads(tokenizer.to_str()), truncate=tokens)
    training, validation, test = map(split, parts)
    return Dataset(training, validation, test, labels_of(task), hashes, preprocessing)


def _rows(content):
    return list(csv.reader(content.splitlines(), delimiter="\t", quoting=csv.QUOTE_NONE))


def _parse_sst2(content):
    return [(sentence.strip(), int(label)) for sentence, label in _rows(content)[1:]]


def _parse_cola(content):
    return [(sentence.strip(), int(label)) for _, label, _, sentence in _rows(content)]
