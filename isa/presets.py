"""Presets: configurations by name. A further one is an entry here."""

from isa.config import AcceleratorConfig, Uram

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
    # Half of a tile leaves together and a row unit takes 64 elements a cycle, so that the engine seldom waits for either.
    "zcu102": AcceleratorConfig(
        rows=16,
        columns=32,
        depth=128,
        drain=256,
        row_lanes=64,
        axi_bits=512,
        ports=4,
        left_depth=2048,
        right_depth=2048,
        constant_depth=512,
        norm_depth=64,
        residual_depth=6144,
        row_columns=1024,
        dma_queue=64,
    ),
    # XCK26 of a KV260: operands and residuals in UltraRAM, two ports.
    "kv260": AcceleratorConfig(
        rows=16,
        columns=16,
        depth=64,
        drain=64,
        row_lanes=16,
        axi_bits=256,
        ports=2,
        left_depth=4096,
        right_depth=8192,
        constant_depth=1024,
        norm_depth=256,
        residual_depth=12288,
        row_columns=1024,
        dma_queue=64,
        uram=Uram.LEFT | Uram.RIGHT | Uram.RESIDUAL,
    ),
    # XC7Z020 of a PYNQ-Z2, with one port of 64 bits.
    "pynq-z2": AcceleratorConfig(
        rows=8,
        columns=16,
        depth=64,
        drain=16,
        row_lanes=4,
        axi_bits=64,
        left_depth=1024,
        right_depth=2048,
        constant_depth=256,
        norm_depth=128,
        residual_depth=4096,
        row_columns=512,
    ),
}


def preset(name: str) -> AcceleratorConfig:
    """Configuration by name. Raises ValueError that lists the names for an unknown one."""
    if name not in PRESETS:
        raise ValueError(f"there is no preset {name!r}; choose one of {', '.join(PRESETS)}")
    return PRESETS[name]
