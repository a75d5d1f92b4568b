#include "bittern.h"

#include <stddef.h>
#include <string.h>

#define IMAGE_MAGIC 0x49525442u
#define PAGE 4096u

static uint32_t read_register(const struct bittern *device, uint32_t address) { return device->registers[address / 4]; }

static void write_register(struct bittern *device, uint32_t address, uint32_t value) {
    device->registers[address / 4] = value;
}

static void write_address(struct bittern *device, uint32_t low, uint64_t offset) {
    const uint64_t address = device->memory_base + offset;
    write_register(device, low, (uint32_t)address);
    write_register(device, low + 4, (uint32_t)(address >> 32));
}

/* Whole words, aligned: mapped as device memory, the memory takes nothing else. Offsets and sizes are multiples of 4. */
static void copy_to(struct bittern *device, uint64_t offset, const uint8_t *data, uint64_t bytes) {
    volatile uint32_t *to = device->memory + offset / 4;
    for (uint64_t i = 0; i < bytes; i += 4) {
        uint32_t word = 0;
        memcpy(&word, data + i, bytes - i < 4 ? (size_t)(bytes - i) : 4);
        *to++ = word;
    }
}

static void sync(struct bittern *device, uint64_t offset, uint64_t bytes) {
    if (device->sync) device->sync(device->memory + offset / 4, bytes);
}

static uint64_t pages(uint64_t bytes) { return (bytes + PAGE - 1) / PAGE * PAGE; }

static uint32_t crc32(const uint8_t *data, uint64_t bytes) {
    uint32_t crc = 0xFFFFFFFFu;
    for (uint64_t i = 0; i < bytes; i++) {
        crc ^= data[i];
        for (int bit = 0; bit < 8; bit++) crc = crc >> 1 ^ (0xEDB88320u & (0u - (crc & 1u)));
    }
    return ~crc;
}

int bittern_open(struct bittern *device, volatile void *registers, volatile void *memory, uint64_t memory_base,
                 uint64_t memory_bytes) {
    memset(device, 0, sizeof *device);
    device->registers = registers;
    device->memory = memory;
    device->memory_base = memory_base;
    device->memory_bytes = memory_bytes;
    device->watchdog = 1u << 20;
    if (read_register(device, BITTERN_IDENTIFICATION) != BITTERN_IDENTIFICATION_VALUE) return BITTERN_WRONG_DEVICE;
    if (read_register(device, BITTERN_VERSION) != BITTERN_VERSION_VALUE) return BITTERN_WRONG_VERSION;
    return BITTERN_OK;
}

int bittern_load(struct bittern *device, const void *image, uint64_t bytes) {
    struct bittern_image found;
    const uint8_t *data = (const uint8_t *)image + sizeof found;
    device->program.magic = 0;
    if (bytes < sizeof found) return BITTERN_BAD_IMAGE;
    memcpy(&found, image, sizeof found);
    if (found.magic != IMAGE_MAGIC || found.image_bytes != bytes - sizeof found) return BITTERN_BAD_IMAGE;
    if (crc32(data, found.image_bytes) != found.crc) return BITTERN_BAD_IMAGE;
    if (found.version != BITTERN_VERSION_VALUE) return BITTERN_WRONG_VERSION;
    if (found.configuration != read_register(device, BITTERN_CONFIGURATION)) return BITTERN_WRONG_PROGRAM;
    device->input = pages(found.image_bytes);
    device->output = device->input + pages((uint64_t)found.batch * found.input_bytes);
    if (device->output + pages((uint64_t)found.batch * found.output_bytes) > device->memory_bytes) return BITTERN_NO_MEMORY;
    if (read_register(device, BITTERN_STATUS) & BITTERN_STATUS_BUSY) return BITTERN_TIMEOUT;
    copy_to(device, 0, data, found.image_bytes);
    sync(device, 0, found.image_bytes);
    write_address(device, BITTERN_IMAGE_BASE_LOW, 0);
    write_address(device, BITTERN_INPUT_BASE_LOW, device->input);
    write_address(device, BITTERN_OUTPUT_BASE_LOW, device->output);
    write_register(device, BITTERN_PROGRAM_OFFSET, found.program_offset);
    write_register(device, BITTERN_PROGRAM_LENGTH, found.program_length);
    write_register(device, BITTERN_WATCHDOG, device->watchdog);
    write_register(device, BITTERN_DEADLINE, 0xFFFFFFFFu);
    device->program = found;
    return BITTERN_OK;
}

static int in_range(const struct bittern_image *program, const int32_t *input) {
    /* A code of b bits may be unsigned or two's complement; both are stored as their low b bits. */
    const uint32_t count = program->input_bits ? program->tokens * program->input_size : program->tokens;
    const int64_t high = program->input_bits ? (INT64_C(1) << program->input_bits) - 1 : (int64_t)program->input_size - 1;
    const int64_t low = program->input_bits ? -(INT64_C(1) << (program->input_bits - 1)) : 0;
    for (uint32_t i = 0; i < count; i++)
        if (input[i] < low || input[i] > high) return 0;
    return 1;
}

/* Word `index` of region INPUT: codes become the left operand, bit planes outermost, then tiles of R rows, words, rows. */
static uint32_t input_word(const struct bittern_image *program, const int32_t *input, uint64_t index) {
    if (!program->input_bits) return index < program->tokens ? (uint32_t)input[index] : 0;
    const uint32_t banks = program->banks_and_depth & 0xFFFFu, depth = program->banks_and_depth >> 16;
    const uint32_t words = (program->input_size + depth - 1) / depth, tiles = (program->tokens + banks - 1) / banks;
    uint32_t value = 0;
    for (uint32_t bit = 0; bit < 32; bit++) {
        const uint64_t position = index * 32 + bit;
        const uint32_t column = (uint32_t)(position % depth), bank = (uint32_t)(position / depth % banks);
        const uint64_t rest = position / depth / banks;
        const uint32_t k = (uint32_t)(rest % words) * depth + column, tile = (uint32_t)(rest / words % tiles);
        const uint32_t plane = (uint32_t)(rest / words / tiles), row = tile * banks + bank;
        if (row < program->tokens && k < program->input_size && plane < program->input_bits)
            value |= ((uint32_t)input[row * program->input_size + k] >> plane & 1u) << bit;
    }
    return value;
}

int bittern_start(struct bittern *device, const int32_t *const *inputs, const uint32_t *lengths, uint32_t count) {
    const struct bittern_image *program = &device->program;
    if (!program->magic) return BITTERN_NOT_LOADED;
    if (count < 1 || count > program->batch) return BITTERN_BAD_INPUT;
    for (uint32_t sample = 0; sample < count; sample++)
        if (lengths[sample] < 1 || lengths[sample] > program->tokens || !in_range(program, inputs[sample]))
            return BITTERN_BAD_INPUT;
    if (read_register(device, BITTERN_STATUS) & BITTERN_STATUS_BUSY) return BITTERN_TIMEOUT;
    for (uint32_t sample = 0; sample < program->batch; sample++) {
        volatile uint32_t *words = device->memory + (device->input + (uint64_t)sample * program->input_bytes) / 4;
        for (uint64_t i = 0; i < program->input_bytes / 4; i++)
            words[i] = sample < count ? input_word(program, inputs[sample], i) : 0;
        write_register(device, BITTERN_LENGTH0 + 4 * sample, sample < count ? lengths[sample] : 0);
    }
    sync(device, device->input, (uint64_t)program->batch * program->input_bytes);
    device->count = count;
    write_register(device, BITTERN_INTERRUPT, 1);
    write_register(device, BITTERN_CONTROL, BITTERN_CONTROL_START);
    return BITTERN_OK;
}

int bittern_finish(struct bittern *device, int16_t *logits, uint64_t polls) {
    const struct bittern_image *program = &device->program;
    uint32_t status;
    if (!program->magic) return BITTERN_NOT_LOADED;
    do {
        if (!polls--) {
            write_register(device, BITTERN_CONTROL, BITTERN_CONTROL_ABORT);
            return BITTERN_TIMEOUT;
        }
        status = read_register(device, BITTERN_STATUS);
    } while (status & BITTERN_STATUS_BUSY);
    if (!(status & BITTERN_STATUS_DONE)) {
        device->error_code = read_register(device, BITTERN_ERROR_CODE);
        device->error_instruction = read_register(device, BITTERN_ERROR_INSTRUCTION);
        return BITTERN_FAILED;
    }
    sync(device, device->output, (uint64_t)device->count * program->output_bytes);
    for (uint32_t sample = 0; sample < device->count; sample++) {
        const uint64_t start = device->output + (uint64_t)sample * program->output_bytes;
        const uint32_t length = read_register(device, BITTERN_LENGTH0 + 4 * sample);
        for (uint32_t row = 0; row < program->output_rows; row++)
            for (uint32_t column = 0; column < program->output_columns; column++) {
                const uint64_t byte = start + (uint64_t)row * program->output_row_bytes + 2u * column;
                *logits++ = row < length ? (int16_t)(device->memory[byte / 4] >> byte % 4 * 8) : 0;
            }
    }
    return BITTERN_OK;
}

int bittern_run(struct bittern *device, const int32_t *const *inputs, const uint32_t *lengths, uint32_t count,
                int16_t *logits, uint64_t polls) {
    const int result = bittern_start(device, inputs, lengths, count);
    return result == BITTERN_OK ? bittern_finish(device, logits, polls) : result;
}

uint32_t bittern_counter(const struct bittern *device, uint32_t index) {
    return index < BITTERN_COUNTERS ? read_register(device, BITTERN_COUNTER_CYCLES + 4 * index) : 0;
}

const char *bittern_explain(int result) {
    switch (result) {
        case BITTERN_OK: return "done";
        case BITTERN_WRONG_DEVICE: return "no Bittern at this address; load its bitstream or correct the address";
        case BITTERN_WRONG_VERSION: return "another version of the register map; use one release for bitstream, image and driver";
        case BITTERN_BAD_IMAGE: return "the image is damaged or no image; write it again with `bittern image`";
        case BITTERN_WRONG_PROGRAM: return "the image is for another configuration; compile it for the preset of the bitstream";
        case BITTERN_NO_MEMORY: return "the program does not fit the memory; reserve more or use a smaller model";
        case BITTERN_NOT_LOADED: return "no program is loaded; call bittern_load first";
        case BITTERN_BAD_INPUT: return "a length, token id or code is out of range, or more samples than the batch";
        case BITTERN_TIMEOUT: return "the accelerator is busy; wait longer, its watchdog ends a run that hangs";
        case BITTERN_FAILED: return "the accelerator reported an error; error_code and error_instruction say which";
        default: return "unknown result";
    }
}
