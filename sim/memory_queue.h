// External memory behind all ports: gives each burst its time. The same as isa.memory_timing.MemoryQueue.
#pragma once

#include <algorithm>
#include <cstdint>

constexpr uint64_t TICKS = 256;

// Times in cycles, as isa.memory_timing.MemoryTiming has them.
struct MemoryTiming {
    uint32_t latency, bandwidth, outstanding, ceiling, burst, refresh_every, refresh;
};

class MemoryQueue {
    MemoryTiming timing;
    uint64_t free = 0;  // ticks

public:
    explicit MemoryQueue(const MemoryTiming& timing) : timing(timing) {}

    // The cycle in which a burst of `size` bytes begins that a port takes in `cycle`; in the order of the cycles.
    uint64_t begin(uint64_t cycle, uint64_t size) {
        if (!timing.ceiling) return cycle;
        uint64_t start = std::max(cycle * TICKS, free);
        if (timing.refresh) {
            const uint64_t within = start % (timing.refresh_every * TICKS), busy = timing.refresh * TICKS;
            if (within < busy) start += busy - within;
        }
        free = start + std::max<uint64_t>(timing.burst, (size * 256 * TICKS + timing.ceiling - 1) / timing.ceiling);
        return (start + TICKS - 1) / TICKS;
    }
};
