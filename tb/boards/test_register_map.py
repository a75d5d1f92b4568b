"""One register map in four forms: Python constants, RTL decode, C header and documentation table agree."""

import re
import subprocess
from dataclasses import replace

import pytest

from driver.errors import TransportError
from formats.files import ROOT
from isa.errors import Error
from isa.registers import ADDRESS, COUNTERS, IDENTIFICATION, LENGTHS, REGISTERS, VERSION, Control, RegisterAccess, Status
from sim.simulation import Simulation
from tb.driver.cases import CONFIG

HEADER = ROOT / "boards" / "c" / "bittern_registers.h"


@pytest.fixture(scope="module")
def header(tmp_path_factory):
    """Value of every constant of the C header, as a C compiler has it."""
    text, folder = HEADER.read_text(), tmp_path_factory.mktemp("header")
    names = re.findall(r"^#define (BITTERN_\w+) \S", text, re.MULTILINE) + re.findall(
        r"^ +(BITTERN_ERROR_\w+) =", text, re.M
    )
    prints = "".join(f'printf("{name} %u\\n", (unsigned){name});' for name in names)
    source = f'#include <stdio.h>\n#include "{HEADER}"\nint main(void) {{ {prints} return 0; }}\n'
    (folder / "header.c").write_text(source)
    subprocess.run(
        ["g++", "-x", "c", "-std=c99", "-Wall", "-Wextra", "-Werror", "header.c", "-o", "header"], cwd=folder, check=True
    )
    printed = subprocess.run([folder / "header"], capture_output=True, text=True, check=True).stdout
    return {name: int(value) for name, value in map(str.split, printed.splitlines())}


def test_the_c_header_has_every_register_and_nothing_else(header):
    expected = {f"BITTERN_{name.upper()}": address for name, address in ADDRESS.items()}
    expected |= {"BITTERN_IDENTIFICATION_VALUE": IDENTIFICATION, "BITTERN_VERSION_VALUE": VERSION}
    expected |= {"BITTERN_COUNTERS": len(COUNTERS)}
    expected |= {f"BITTERN_CONTROL_{bit.name}": 1 << bit for bit in Control}
    expected |= {f"BITTERN_STATUS_{bit.name}": 1 << bit for bit in Status}
    expected |= {f"BITTERN_ERROR_{error.name}": error.value for error in Error}
    assert header == expected


def test_the_documentation_has_every_register():
    rows = re.findall(r"^\| 0x(\w+) \| `(\w+)` \| (\S+) \|", (ROOT / "docs" / "registers.md").read_text(), re.MULTILINE)
    assert [(int(address, 16), name, access) for address, name, access in rows] == [
        (r.address, r.name, "read/write" if r.access is RegisterAccess.WRITE else "read") for r in REGISTERS
    ]


def test_the_rtl_answers_at_the_addresses_of_the_header_and_nowhere_else(header):
    addresses = {header[f"BITTERN_{register.name.upper()}"]: register for register in REGISTERS}
    kept = dict.fromkeys(("image_base_high", "input_base_high", "output_base_high"), 0xFF)
    kept |= dict.fromkeys(LENGTHS, 0xFFFF) | {"interrupt_enable": 1, "control": 0, "interrupt": 0}
    with Simulation(CONFIG, memory_bytes=4096) as simulation:
        for address in range(0, 0x1000, 4):
            if address not in addresses:
                with pytest.raises(TransportError, match="AXI response 2"):
                    simulation.read_register(address)
                with pytest.raises(TransportError, match="AXI response 2"):
                    simulation.write_register(address, 0)
        before = {address: simulation.read_register(address) for address in addresses}
        assert before[header["BITTERN_IDENTIFICATION"]] == header["BITTERN_IDENTIFICATION_VALUE"]
        assert before[header["BITTERN_VERSION"]] == header["BITTERN_VERSION_VALUE"]
        assert before[header["BITTERN_CONFIGURATION"]] == CONFIG.checksum
        # Every register by its own value: two that share a place would show. START is left out.
        for number, address in enumerate(addresses):
            simulation.write_register(address, (0x01010100 * (number + 1) & 0xFFFFFFFF) | 0xFE)
        for number, (address, register) in enumerate(addresses.items()):
            value = (0x01010100 * (number + 1) & 0xFFFFFFFF) | 0xFE
            writable = kept.get(register.name, 0xFFFFFFFF) if register.access is RegisterAccess.WRITE else 0
            assert simulation.read_register(address) == (value & writable if writable else before[address]), register.name


def test_the_configuration_register_tells_configurations_apart():
    others = [replace(CONFIG, right_depth=256), replace(CONFIG, dma_queue=16), replace(CONFIG, accumulator_bits=20)]
    assert len({config.checksum for config in (CONFIG, *others)}) == 4
    assert CONFIG.checksum == replace(CONFIG).checksum
