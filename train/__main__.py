"""``python -m train RECIPE.toml``: the same as ``bittern train``, as torchrun wants it (``torchrun ... -m train``)."""

import argparse
import sys

from train.errors import TrainError
from train.run.options import add_train, run_train


def main(arguments=None):
    """Exit status: 0, or 2 for what cannot be used."""
    parser = argparse.ArgumentParser(prog="python -m train", description=__doc__)
    add_train(parser)
    try:
        return run_train(parser.parse_args(arguments))
    except TrainError as error:
        print(f"bittern: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt as stop:
        print(f"bittern: interrupted {stop}", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
