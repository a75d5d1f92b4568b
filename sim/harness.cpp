// The accelerator in Verilator with an AXI memory model and a run loop, behind a C interface for sim/simulation.py.
// One call of step() is one clock cycle: inputs settle, handshakes are sampled, then the edge. From the build come BEAT_BYTES
// of a port, PORTS, and FOR_EACH_PORT(do), which is do(number, prefix of its signals) for each.

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <deque>
#include <vector>

#include "Vbittern.h"
#include "Vbittern___024root.h"
#include "memory_queue.h"
#include "verilated.h"

namespace {

constexpr uint8_t OKAY = 0, DECERR = 3;

// A memory inside the RTL: `banks` arrays of `stride`-byte elements.
struct Array {
    const uint8_t* data;
    size_t stride;
};

template <class T>
Array array_of(const T& unpacked) {
    return {reinterpret_cast<const uint8_t*>(&unpacked[0]), sizeof(unpacked[0])};
}

struct Burst {
    uint64_t address;
    uint32_t beats, bytes;  // to come, and of all
    uint64_t ready;  // cycle from which the memory answers
};

struct Event {
    uint64_t cycle;
    uint32_t queue;
    uint32_t completed;  // 0 issued, 1 completed
};

// Shared by all simulations and never freed: Verilator keeps a pointer to the context of the last one created.
VerilatedContext& context() {
    static VerilatedContext* const shared = new VerilatedContext;
    return *shared;
}

// A port of the accelerator to memory. Signals have types by their width, so `drive` and `settle` below are macros over them.
struct Port {
    uint32_t tokens = 0;
    std::deque<Burst> reads, writes;
    std::deque<std::pair<uint64_t, uint8_t>> responses;  // cycle, code
    uint8_t write_response = OKAY;
};

struct Harness {
    Vbittern top{&context()};
    std::vector<uint8_t> own;
    uint8_t* memory;  // `bytes` of it, which the accelerator sees from `base` on
    uint64_t bytes, base;
    uint64_t cycle = 0;
    MemoryTiming timing;
    MemoryQueue queue{timing};
    Port ports[PORTS];
    int silent = -1;  // a port that neither takes nor answers any more
    std::vector<Event> events;

    Harness(uint8_t* shared, uint64_t bytes, uint64_t base, const MemoryTiming& timing)
        : own(shared ? 0 : bytes), memory(shared ? shared : own.data()), bytes(bytes), base(base), timing(timing) {
        top.aclk = 0;
        top.aresetn = 0;
        for (int i = 0; i < 4; ++i) step();
        top.aresetn = 1;
        step();
    }

    // Where a beat is, or null outside the memory.
    uint8_t* at(uint64_t address) const {
        return address >= base && address - base + BEAT_BYTES <= bytes ? memory + (address - base) : nullptr;
    }

    void drive() {
#define DRIVE(number, port)                                                                                       \
    {                                                                                                             \
        Port& p = ports[number];                                                                                  \
        const bool there = silent != number;                                                                      \
        p.tokens = std::min(p.tokens + timing.bandwidth, 512u);                                                   \
        top.port##_arready = there && p.reads.size() < timing.outstanding;                                        \
        top.port##_awready = there && p.writes.size() < 16;                                                       \
        top.port##_wready = there && !p.writes.empty();                                                           \
        const bool answer = there && !p.reads.empty() && p.reads.front().ready <= cycle && p.tokens >= 256;       \
        top.port##_rvalid = answer;                                                                               \
        if (answer) {                                                                                             \
            const Burst& burst = p.reads.front();                                                                 \
            const uint8_t* source = at(burst.address);                                                            \
            uint8_t* target = reinterpret_cast<uint8_t*>(&top.port##_rdata);                                      \
            if (source)                                                                                           \
                std::memcpy(target, source, BEAT_BYTES);                                                          \
            else                                                                                                  \
                std::memset(target, 0, BEAT_BYTES);                                                               \
            top.port##_rresp = source ? OKAY : DECERR;                                                            \
            top.port##_rlast = burst.beats == 1;                                                                  \
        }                                                                                                         \
        const bool respond = there && !p.responses.empty() && p.responses.front().first <= cycle;                 \
        top.port##_bvalid = respond;                                                                              \
        top.port##_bresp = respond ? p.responses.front().second : OKAY;                                           \
    }
        FOR_EACH_PORT(DRIVE)
    }

    void settle() {
#define SETTLE(number, port)                                                                                      \
    {                                                                                                             \
        Port& p = ports[number];                                                                                  \
        if (top.port##_rvalid && top.port##_rready) {                                                             \
            p.tokens -= 256;                                                                                      \
            p.reads.front().address += BEAT_BYTES;                                                                \
            if (--p.reads.front().beats == 0) p.reads.pop_front();                                                \
        }                                                                                                         \
        if (top.port##_bvalid && top.port##_bready) p.responses.pop_front();                                      \
        if (top.port##_wvalid && top.port##_wready) {                                                             \
            Burst& burst = p.writes.front();                                                                      \
            if (uint8_t* target = at(burst.address)) {                                                            \
                const uint8_t* data = reinterpret_cast<const uint8_t*>(&top.port##_wdata);                        \
                for (size_t i = 0; i < BEAT_BYTES; ++i)                                                           \
                    if (top.port##_wstrb >> i & 1) target[i] = data[i];                                           \
            } else {                                                                                              \
                p.write_response = DECERR;                                                                        \
            }                                                                                                     \
            burst.address += BEAT_BYTES;                                                                          \
            if (--burst.beats == 0) {                                                                             \
                p.responses.emplace_back(queue.begin(cycle, burst.bytes) + timing.latency, p.write_response);     \
                p.write_response = OKAY;                                                                          \
                p.writes.pop_front();                                                                             \
            }                                                                                                     \
        }                                                                                                         \
        if (top.port##_arvalid && top.port##_arready) {                                                           \
            const uint32_t beats = top.port##_arlen + 1u;                                                         \
            const uint64_t begun = queue.begin(cycle, beats * BEAT_BYTES);                                        \
            p.reads.push_back({top.port##_araddr, beats, beats * BEAT_BYTES, begun + timing.latency});            \
        }                                                                                                         \
        if (top.port##_awvalid && top.port##_awready) {                                                           \
            const uint32_t beats = top.port##_awlen + 1u;                                                         \
            p.writes.push_back({top.port##_awaddr, beats, beats * BEAT_BYTES, 0});                                \
        }                                                                                                         \
    }
        FOR_EACH_PORT(SETTLE)
    }

    // Events of this cycle: which queues issued or completed an instruction.
    bool observe() {
        const uint32_t issued = TRACE_ISSUE, completed = TRACE_DONE;
        for (uint32_t queue = 0; queue < 3; ++queue) {
            if (issued >> queue & 1) events.push_back({cycle, queue, 0});
            if (completed >> queue & 1) events.push_back({cycle, queue, 1});
        }
        return completed != 0;
    }

    bool step() {
        drive();
        top.eval();
        const bool completed = top.aresetn && observe();
        settle();
        top.aclk = 1;
        top.eval();
        top.aclk = 0;
        ++cycle;
        return completed;
    }
};

#include "memories.inc"

}  // namespace

extern "C" {

// `shared`: external memory that belongs to the caller, or null for one of the harness.
Harness* bittern_new(uint8_t* shared, uint64_t bytes, uint64_t base, const MemoryTiming* timing) {
    return new Harness(shared, bytes, base, *timing);
}
void bittern_delete(Harness* h) { delete h; }
uint8_t* bittern_memory(Harness* h) { return h->memory; }
uint64_t bittern_cycle(Harness* h) { return h->cycle; }
int bittern_interrupt(Harness* h) { return h->top.irq; }
// From now on a port neither takes nor answers; -1: all do.
void bittern_silence(Harness* h, int port) { h->silent = port; }

MemoryQueue* bittern_queue_new(const MemoryTiming* timing) { return new MemoryQueue(*timing); }
uint64_t bittern_queue_begin(MemoryQueue* queue, uint64_t cycle, uint64_t size) { return queue->begin(cycle, size); }
void bittern_queue_delete(MemoryQueue* queue) { delete queue; }

// Runs until something completes, the interrupt rises, or `cycles` have passed. Returns 1, 2 or 0.
int bittern_run(Harness* h, uint64_t cycles) {
    for (uint64_t end = h->cycle + cycles; h->cycle < end;) {
        const bool completed = h->step();
        if (h->top.irq) return 2;
        if (completed) return 1;
    }
    return 0;
}

uint64_t bittern_event_count(Harness* h) { return h->events.size(); }
const Event* bittern_events(Harness* h) { return h->events.data(); }
void bittern_clear_events(Harness* h) { h->events.clear(); }

// AXI4-Lite transfers. Return 0 after 1,000 cycles without an answer, else 1 + the response: 1 is OKAY.
int bittern_write(Harness* h, uint32_t address, uint32_t value) {
    Vbittern& top = h->top;
    top.s_axi_control_awaddr = address;
    top.s_axi_control_wdata = value;
    top.s_axi_control_wstrb = 15;
    top.s_axi_control_awvalid = top.s_axi_control_wvalid = top.s_axi_control_bready = 1;
    int answer = 0;
    for (int i = 0; i < 1000 && !answer; ++i) {
        h->drive();
        top.eval();
        const bool address_taken = top.s_axi_control_awvalid && top.s_axi_control_awready;
        const bool data_taken = top.s_axi_control_wvalid && top.s_axi_control_wready;
        if (top.s_axi_control_bvalid) answer = 1 + top.s_axi_control_bresp;
        h->step();
        if (address_taken) top.s_axi_control_awvalid = 0;
        if (data_taken) top.s_axi_control_wvalid = 0;
    }
    top.s_axi_control_bready = 0;
    return answer;
}

int bittern_read(Harness* h, uint32_t address, uint32_t* value) {
    Vbittern& top = h->top;
    top.s_axi_control_araddr = address;
    top.s_axi_control_arvalid = top.s_axi_control_rready = 1;
    int answer = 0;
    for (int i = 0; i < 1000 && !answer; ++i) {
        h->drive();
        top.eval();
        const bool taken = top.s_axi_control_arvalid && top.s_axi_control_arready;
        if (top.s_axi_control_rvalid) {
            answer = 1 + top.s_axi_control_rresp;
            *value = top.s_axi_control_rdata;
        }
        h->step();
        if (taken) top.s_axi_control_arvalid = 0;
    }
    top.s_axi_control_rready = 0;
    return answer;
}

// Copies words first .. first + count - 1 of every bank, `bytes` of each, word by word and bank by bank. Unless `stacked` is
// 0: then banks of so many words follow each other, and there is one word of each number.
void bittern_dump(Harness* h, uint32_t memory, uint32_t first, uint32_t count, uint32_t bytes, uint32_t stacked,
                  uint8_t* out) {
    const std::vector<Array> banks = arrays(h->top, memory);
    if (stacked) {
        for (uint32_t word = first; word < first + count; ++word, out += bytes) {
            const Array& bank = banks[word / stacked];
            std::memcpy(out, bank.data + word % stacked * bank.stride, bytes);
        }
        return;
    }
    for (uint32_t word = first; word < first + count; ++word)
        for (const Array& bank : banks) {
            std::memcpy(out, bank.data + word * bank.stride, bytes);
            out += bytes;
        }
}

}  // extern "C"
