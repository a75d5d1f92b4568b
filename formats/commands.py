"""`bittern info`."""

import argparse
from pathlib import Path


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command to the sub-parsers of a command line."""
    info = commands.add_parser("info", help="say what is in a bundle")
    info.add_argument("bundle", type=Path)
    info.set_defaults(run=_info)


def _info(options):
    from formats.bundle import load
    from golden.model import Input, describe

    bundle = load(options.bundle)
    config, record = bundle.encoder.config, bundle.record
    print(f"{options.bundle}: {record.get('task', 'unnamed task')}")
    shape = f"{config.tokens} tokens" if config.input is Input.TOKENS else f"{config.tokens} patches of {config.input_size}"
    print(f"  input      {shape}; labels {', '.join(bundle.labels)}")
    print(f"  encoder    {describe(config)}, {config.order}-norm, {config.attention} attention, {config.head} head")
    layer = bundle.encoder.layers[0]
    codes = {
        "weights": layer.feed_forward.up.weight_format, "input": bundle.encoder.embedding.norm.output,
        "query": layer.attention.query.output, "probability": layer.attention.probability,
        "hidden": layer.feed_forward.up.output,
    }  # fmt: skip
    known = ((key, found) for key, found in codes.items() if found)
    print("  formats    " + ", ".join(f"{key} {found.kind.name.lower()} {found.bits}" for key, found in known))
    for key, value in record.items():
        print(f"  {key:10s} {value}")
    print(f"  samples    {len(bundle.samples.labels)}")
    return 0
