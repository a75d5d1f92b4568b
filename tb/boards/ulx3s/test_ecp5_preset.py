"""Preset `ecp5`: large enough for both kinds of bundled model, and no memory larger than it must be."""

import dataclasses

import pytest

from boards.ulx3s.record import BOARD
from formats import bundle as bundle_file
from isa.presets import preset
from program.compiler.compiler import CompileError, compile_encoder
from program.placement import Placement
from tb.lib.harness import ROOT

BUNDLES = ("fashion-mnist-w1a1", "fashion-mnist-w1a4", "sst2-w1a1")
DEPTHS = ("left_depth", "right_depth", "constant_depth", "norm_depth", "residual_depth", "row_columns")


@pytest.fixture(scope="module")
def encoders():
    return [bundle_file.load(ROOT / "bundles" / f"{name}.bundle").encoder for name in BUNDLES]


def test_bundled_models_fit_accelerator_and_memory(encoders):
    for encoder in encoders:
        program = compile_encoder(encoder, preset("ecp5"))
        assert Placement.of(program).bytes <= BOARD.memory_bytes


@pytest.mark.parametrize("name", DEPTHS)
def test_half_of_any_memory_is_too_small(encoders, name):
    smaller = dataclasses.replace(preset("ecp5"), **{name: getattr(preset("ecp5"), name) // 2})

    def compile_all():
        for encoder in encoders:
            compile_encoder(encoder, smaller)

    with pytest.raises(CompileError, match=name):
        compile_all()
