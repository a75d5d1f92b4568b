"""Presets: configurations by name. A further one is an entry here."""

from isa.config import AcceleratorConfig

PRESETS = {
    "tiny": AcceleratorConfig(
        rows=4,
        columns=4,
        depth=16,
        drain=8,
        row_lanes=4,
        axi_bits=64,
        left_depth=512,
        right_depth=512,
        constant_depth=64,
        norm_depth=64,
        residual_depth=512,
        row_columns=64,
    ),
    "small": AcceleratorConfig(
        rows=16,
        columns=16,
        depth=32,
        drain=32,
        row_lanes=8,
        axi_bits=128,
        left_depth=2048,
        right_depth=2048,
        constant_depth=256,
        norm_depth=64,
        residual_depth=2048,
        row_columns=512,
    ),
    "ecp5": AcceleratorConfig(
        rows=4,
        columns=4,
        depth=32,
        drain=4,
        row_lanes=2,
        axi_bits=32,
        left_depth=1024,
        right_depth=2048,
        constant_depth=256,
        norm_depth=64,
        residual_depth=4096,
        row_columns=128,
    ),
    "zcu102": AcceleratorConfig(
        rows=16,
        columns=32,
        depth=128,
        drain=128,
        row_lanes=32,
        axi_bits=512,
        ports=4,
        left_depth=4096,
        right_depth=2048,
        constant_depth=512,
        norm_depth=128,
        residual_depth=12288,
        row_columns=1024,
        dma_queue=64,
    ),
}


def preset(name: str) -> AcceleratorConfig:
    """Configuration by name. Raises ValueError that lists the names for an unknown one."""
    if name not in PRESETS:
        raise ValueError(f"there is no preset {name!r}; choose one of {', '.join(PRESETS)}")
    return PRESETS[name]
