"""DMA behind a reader: LOAD and GATHER write what the architecture page says, bad ones are refused with their code."""

import cocotb
import numpy as np
import pytest
from cocotb.triggers import ClockCycles, RisingEdge

from hw.axi.axi import READ_REQUEST, Tag, read_data_layout
from hw.dma.placer import memory_chunks, memory_depths
from isa.errors import Error
from isa.instruction import Memory, Region
from tb.hw.dma.dma_bench import BASES, CONFIGS, Bench, DmaWithReader
from tb.lib.harness import SIMULATORS, StreamSource, reset, simulate, start_clock
from tb.lib.payload import unpack


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
async def never_asks_for_more_indices_than_it_has_room_for(dut):
    bench = Bench(dut, 0.0, 14)
    await start_clock(dut)
    await bench.check([bench.gather(count=200, row_beats=1, words=1, tile=1, address=0)])
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
@cocotb.parametrize(latency=[40, 100, 120], beats=[16, 100])
async def short_loads_hide_the_latency(dut, latency, beats):
    bench = Bench(dut, 0.0, 10, latency)
    await start_clock(dut)
    count = 1024 // beats
    program = [
        bench.load(memory=Memory.LEFT, address=0, beats=beats, region=Region.INPUT, offset=16 * n * bench.width)
        for n in range(count)
    ]
    bench.cycles = 0
    await bench.check(program)
    most = 1.1 * count * beats + latency
    assert bench.cycles <= most, f"{count} loads of {beats} beats took {bench.cycles} cycles, not {most}"
    await bench.finish()


@cocotb.test()
@cocotb.parametrize(latency=[0, 100])
async def consecutive_loads_leave_no_gap(dut, latency):
    bench = Bench(dut, 0.0, 11, latency)
    await start_clock(dut)
    load = bench.load(memory=Memory.LEFT, address=0, beats=16, region=Region.OUTPUT, offset=0)
    program = [load] * 40
    cycles = []

    async def watch():
        while True:
            await RisingEdge(dut.clk)
            cycles.append(bool(dut.o__valid.value and dut.o__ready.value))

    watching = cocotb.start_soon(watch())
    await bench.check(program)
    watching.cancel()
    first, end = cycles.index(True), len(cycles) - cycles[::-1].index(True)
    assert end - first == 640, f"640 writes took {end - first} cycles"
    await bench.finish()


@cocotb.test()
@cocotb.parametrize(latency=[40, 100])
async def a_fetch_does_not_wait_for_a_long_load(dut, latency):
    bench = Bench(dut, 0.0, 12, latency)
    await start_clock(dut)
    fetch = StreamSource(dut, "i_fetch", READ_REQUEST, 0.0, bench.rng)
    beats = memory_chunks(bench.config)[Memory.LEFT] * bench.config.left_depth
    load = bench.load(memory=Memory.LEFT, address=0, beats=beats, region=Region.IMAGE, offset=0)
    for wait in (130, 131, 142):
        checking = cocotb.start_soon(bench.check([load]))
        await ClockCycles(dut.clk, wait)
        fetch.send({"address": np.array([8 * bench.width]), "beats": np.array([8]), "tag": np.array([Tag.FETCH])})
        written = cycles = 0
        got = []
        while len(got) < 8:
            await RisingEdge(dut.clk)
            cycles += 1
            written += int(dut.o__valid.value)
            if dut.o_fetch__valid.value:
                got.append(unpack(read_data_layout(bench.config.axi_bits), [int(dut.o_fetch__payload.value)]))
        # What the reader has announced, two bursts on their way to it, and what has come meanwhile.
        assert 16 < written <= 18 * 16
        assert cycles <= latency + 18 * 16 + 20
        assert [int(beat["data"][0]) for beat in got] == bench.memory.beats(8 * bench.width, 8, bench.config.axi_bits)
        assert [int(beat["last"][0]) for beat in got] == [0] * 7 + [1]
        await checking
    await bench.finish()


@cocotb.test()
async def refuses_instructions_that_make_no_sense(dut):
    bench = Bench(dut, 0.1, 5)
    await start_clock(dut)
    row_words = 2 * bench.config.axi_bits // bench.config.depth
    for bad in [
        bench.load(beats=0), bench.load(memory=5), bench.load(memory=7), bench.load(region=3),
        bench.load(offset=bench.width // 2),
        bench.gather(count=0), bench.gather(row_beats=0), bench.gather(words=0), bench.gather(region=3),
        bench.gather(index_region=3), bench.gather(offset=1), bench.gather(index_offset=bench.width // 2),
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
        bad = bench.load(region=Region.IMAGE, offset=0x4000, beats=9, memory=Memory.LEFT, address=0)
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
async def errors_keep_their_order_among_many_loads(dut):
    bench = Bench(dut, 0.0, 13, latency=100)
    await start_clock(dut)
    loads = [bench.load(memory=Memory.LEFT, address=n, beats=4, offset=n * 0x400, region=Region.INPUT) for n in range(16)]
    for count in (0, 1, 7, 15):
        good, after = loads[:count], loads[:4]
        await bench.check_error(good, bench.load(memory=6), Error.SHAPE, after=after)
        bad = bench.load(memory=Memory.LEFT, address=bench.config.left_depth, beats=9)
        await bench.check_error(good, bad, Error.ADDRESS_RANGE, after=after)
        bad = bench.load(memory=Memory.LEFT, address=0, beats=9, region=Region.IMAGE, offset=0x4000)
        start = BASES[Region.IMAGE] + 0x4000
        bench.memory.bad = range(start + 7 * bench.width, start + 8 * bench.width)
        await bench.check_error(good, bad, Error.AXI_READ, 7, after=after)
        # The first half finds the second one's error while the data of the first bad one is awaited.
        await bench.check_error(good, bad, Error.AXI_READ, 7, after=[*after, bench.load(beats=0)])
        bench.memory.bad = range(0)
    await bench.check(loads)
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
