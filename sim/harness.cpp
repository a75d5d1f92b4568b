// The accelerator in Verilator with an AXI memory model and a run loop, behind a C interface for sim/simulation.py.
// One call of step() is one clock cycle: inputs settle, handshakes are sampled, then the edge.

#include <cstdint>
#include <cstring>
#include <deque>
#include <vector>

#include "Vbittern.h"
#include "Vbittern___024root.h"
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
    uint32_t beats;
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

struct Harness {
    Vbittern top{&context()};
    std::vector<uint8_t> own;
    uint8_t* memory;  // `bytes` of it, which the accelerator sees from `base` on
    uint64_t bytes, base;
    uint64_t cycle = 0;
    uint32_t latency, beats_per_256;  // memory model: cycles to the first beat, and bandwidth
    uint32_t tokens = 0;
    std::deque<Burst> reads, writes;
    std::deque<std::pair<uint64_t, uint8_t>> responses;  // cycle, code
    uint8_t write_response = OKAY;
    std::vector<Event> events;

    Harness(uint8_t* shared, uint64_t bytes, uint64_t base, uint32_t latency, uint32_t beats_per_256)
        : own(shared ? 0 : bytes), memory(shared ? shared : own.data()), bytes(bytes), base(base), latency(latency),
          beats_per_256(beats_per_256) {
        top.aclk = 0;
        top.aresetn = 0;
        for (int i = 0; i < 4; ++i) step();
        top.aresetn = 1;
        step();
    }

    // Where a beat is, or null outside the memory.
    uint8_t* at(uint64_t address) const {
        return address >= base && address - base + beat() <= bytes ? memory + (address - base) : nullptr;
    }

    // The width in bytes of the data bus, from the type of the port.
    size_t beat() const { return BEAT_BYTES; }

    void drive() {
        tokens += beats_per_256;
        if (tokens > 512) tokens = 512;
        top.m_axi_memory_arready = reads.size() < 16;
        top.m_axi_memory_awready = writes.size() < 16;
        top.m_axi_memory_wready = !writes.empty();
        const bool answer = !reads.empty() && reads.front().ready <= cycle && tokens >= 256;
        top.m_axi_memory_rvalid = answer;
        if (answer) {
            const Burst& burst = reads.front();
            const uint8_t* source = at(burst.address);
            uint8_t* target = reinterpret_cast<uint8_t*>(&top.m_axi_memory_rdata);
            if (source)
                std::memcpy(target, source, beat());
            else
                std::memset(target, 0, beat());
            top.m_axi_memory_rresp = source ? OKAY : DECERR;
            top.m_axi_memory_rlast = burst.beats == 1;
        }
        const bool respond = !responses.empty() && responses.front().first <= cycle;
        top.m_axi_memory_bvalid = respond;
        top.m_axi_memory_bresp = respond ? responses.front().second : OKAY;
    }

    void settle() {
        if (top.m_axi_memory_rvalid && top.m_axi_memory_rready) {
            tokens -= 256;
            reads.front().address += beat();
            if (--reads.front().beats == 0) reads.pop_front();
        }
        if (top.m_axi_memory_bvalid && top.m_axi_memory_bready) responses.pop_front();
        if (top.m_axi_memory_wvalid && top.m_axi_memory_wready) {
            Burst& burst = writes.front();
            if (uint8_t* target = at(burst.address)) {
                const uint8_t* data = reinterpret_cast<const uint8_t*>(&top.m_axi_memory_wdata);
                for (size_t i = 0; i < beat(); ++i)
                    if (top.m_axi_memory_wstrb >> i & 1) target[i] = data[i];
            } else {
                write_response = DECERR;
            }
            burst.address += beat();
            if (--burst.beats == 0) {
                responses.emplace_back(cycle + latency, write_response);
                write_response = OKAY;
                writes.pop_front();
            }
        }
        if (top.m_axi_memory_arvalid && top.m_axi_memory_arready)
            reads.push_back({top.m_axi_memory_araddr, top.m_axi_memory_arlen + 1u, cycle + latency});
        if (top.m_axi_memory_awvalid && top.m_axi_memory_awready)
            writes.push_back({top.m_axi_memory_awaddr, top.m_axi_memory_awlen + 1u, 0});
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
Harness* bittern_new(uint8_t* shared, uint64_t bytes, uint64_t base, uint32_t latency, uint32_t beats_per_256) {
    return new Harness(shared, bytes, base, latency, beats_per_256);
}
void bittern_delete(Harness* h) { delete h; }
uint8_t* bittern_memory(Harness* h) { return h->memory; }
uint64_t bittern_cycle(Harness* h) { return h->cycle; }
int bittern_interrupt(Harness* h) { return h->top.irq; }

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
