"""`bittern documents`."""

import argparse


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command to the sub-parsers of a command line."""
    documents = commands.add_parser("documents", help="write what is generated from the instruction set and the registers")
    documents.set_defaults(run=_documents)


def _documents(options):
    from isa.documents import write

    for path in write():
        print(path)
    return 0
