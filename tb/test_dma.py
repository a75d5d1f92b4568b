"""DMA behind a reader: LOAD and GATHER write what the architecture page says, bad ones are refused with their code."""

import cocotb
import numpy as np
import pytest
from cocotb.triggers import ClockCycles

from golden.instruction import Memory, Region
from golden.registers import Error
from hw.dma_placer import memory_chunks, memory_depths
from tb.dma_bench import BASES, CONFIGS, Bench, DmaWithReader
from tb.harness import SIMULATORS, reset, simulate, start_clock


@cocotb.test()
@cocotb.parametrize(stall=[0.0, 0.3, 0.7])
async def loads_and_gathers(dut, stall):
    bench = Bench(dut, stall, 1)
    await start_clock(dut)
    program = [bench.load() if bench.rng.random() < 0.6 else bench.gather() for _ in range(14)]
    await bench.check(program)
    await bench.finish()


@cocotb.test()
async def reaches_the_last_address_of_each_memory(dut):
    bench = Bench(dut, 0.2, 2)
    await start_clock(dut)
    program = []
    for memory in Memory:
        chunks, depth = memory_chunks(bench.config)[memory], memory_depths(bench.config)[memory]
        program.append(bench.load(memory=memory, address=depth - 2, beats=2 * chunks))
        program.append(bench.load(memory=memory, address=0, beats=1))
    count = 2 * bench.config.rows + 1
    last = bench.config.left_depth - 1
    program.append(bench.gather(count=count, words=1, tile=1, address=last - 2))
    program.append(bench.gather(count=1, words=1, tile=0xFFFF, address=last))
    await bench.check(program)
    await bench.finish()


@cocotb.test()
async def one_row_with_all_words(dut):
    bench = Bench(dut, 0.2, 3)
    await start_clock(dut)
    words = 7 * bench.config.axi_bits // bench.config.depth
    await bench.check([bench.gather(count=count, row_beats=7, words=words, tile=words, address=1) for count in (1, 2, 5)])
    await bench.finish()


@cocotb.test()
async def loads_back_to_back_keep_the_bus_busy(dut):
    bench = Bench(dut, 0.0, 4)
    await start_clock(dut)
    program = [bench.load(memory=Memory.LEFT, address=0, beats=64) for _ in range(10)]
    bench.cycles = bench.waits = 0
    await bench.check(program)
    assert bench.cycles < 640 + 40, f"640 beats took {bench.cycles} cycles"
    assert 0 < bench.waits < 40
    await bench.finish()


@cocotb.test()
async def refuses_instructions_that_make_no_sense(dut):
    bench = Bench(dut, 0.1, 5)
    await start_clock(dut)
    row_words = 2 * bench.config.axi_bits // bench.config.depth
    for bad in [
        bench.load(beats=0), bench.load(memory=5), bench.load(memory=7), bench.load(region=3),
        bench.load(offset=bench.width // 2), bench.load(index_shift=1),
        bench.gather(count=0), bench.gather(row_beats=0), bench.gather(words=0), bench.gather(region=3),
        bench.gather(index_region=3), bench.gather(offset=1), bench.gather(index_offset=4),
        bench.gather(row_beats=2, words=row_words + 1),
    ]:  # fmt: skip
        good = [bench.load() for _ in range(int(bench.rng.integers(0, 4)))]
        await bench.check_error(good, bad, Error.SHAPE)
    await bench.check([bench.load(), bench.gather()])
    await bench.finish()


@cocotb.test()
async def refuses_addresses_beyond_the_memory(dut):
    bench = Bench(dut, 0.1, 6)
    await start_clock(dut)
    for memory in Memory:
        chunks, depth = memory_chunks(bench.config)[memory], memory_depths(bench.config)[memory]
        for address, beats, most in [
            (depth, 1, 0), (depth - 1, chunks + 1, chunks), (0xFFFF, chunks + 1, chunks if depth == 1 << 16 else 0)
        ]:  # fmt: skip
            bad = bench.load(memory=memory, address=address, beats=beats)
            await bench.check_error([bench.load()], bad, Error.ADDRESS_RANGE, most)
    rows, depth = bench.config.rows, bench.config.left_depth
    for address, tile, count, words, row_beats in [
        (depth - 1, 1, rows + 1, 1, 1), (1, 0xFFFF, rows + 1, 1, 1), (depth - 1, 0, 1, 2, 4)
    ]:  # fmt: skip
        bad = bench.gather(address=address, tile=tile, count=count, words=words, row_beats=row_beats)
        await bench.check_error([bench.gather()], bad, Error.ADDRESS_RANGE, rows * words)
    await bench.check([bench.load(), bench.gather()])
    await bench.finish()


@cocotb.test()
async def refuses_indices_at_the_limit(dut):
    bench = Bench(dut, 0.1, 7)
    await start_clock(dut)
    for value, place, limit in [(50, 0, 50), (50, 20, 50), (0xFFFFFFFF, 3, 50), (49, 24, 50), (0, 0, 0)]:
        bad = bench.gather(count=25, row_beats=1, words=1, tile=1, address=0)
        bad.fields["limit"] = limit
        address = BASES[Region.OUTPUT] + bad.index_offset + 4 * place
        bench.memory.bytes[address : address + 4] = np.array([value], "<u4").view(np.uint8)
        if value < limit:
            await bench.check([bad])
        else:
            await bench.check_error([bench.gather(), bench.load()][: place % 3], bad, Error.INDEX_RANGE, place)
    await bench.finish()


@cocotb.test()
async def reports_read_errors(dut):
    bench = Bench(dut, 0.1, 8)
    await start_clock(dut)
    for good in ([], [bench.load()], [bench.gather(), bench.load()]):
        bad = bench.load(region=Region.IMAGE, offset=0x4000, index_shift=0, beats=9, memory=Memory.LEFT, address=0)
        start = BASES[Region.IMAGE] + 0x4000
        bench.memory.bad = range(start + 7 * bench.width, start + 8 * bench.width)
        await bench.check_error([i for i in good if i.region != Region.IMAGE], bad, Error.AXI_READ, 7)
        bad = bench.gather(count=20, row_beats=1, words=1)
        start = BASES[Region.OUTPUT] + bad.index_offset
        bench.memory.bad = range(start + 64, start + 80)
        await bench.check_error(good, bad, Error.AXI_READ, 16)
        bad = bench.gather(count=20, row_beats=4, words=1, offset=0x8000)
        bench.memory.bad = range(BASES[Region.INPUT] + 0x8000, BASES[Region.INPUT] + 0x14000)
        await bench.check_error(good, bad, Error.AXI_READ)
        bench.memory.bad = range(0)
    await bench.check([bench.load(), bench.gather()])
    await bench.finish()


@cocotb.test()
async def works_after_reset_in_the_middle(dut):
    bench = Bench(dut, 0.3, 9)
    await start_clock(dut)
    for _ in range(4):
        bench.send([bench.load(), bench.gather(), bench.load()])
        bench.dut.o__ready.value = 1
        await ClockCycles(dut.clk, int(bench.rng.integers(20, 150)))
        await reset(dut, bench.source, bench.sink)
        await bench.check([bench.load(), bench.gather()])
    await bench.finish()


@pytest.mark.parametrize("simulator", SIMULATORS)
@pytest.mark.parametrize("config", CONFIGS)
def test_dma(config, simulator):
    simulate(DmaWithReader(CONFIGS[config]), __name__, simulator, parameters={"config": config})
