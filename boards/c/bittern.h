/* Driver of the Bittern accelerator in C99, for Linux and bare metal. It allocates nothing and calls no operating system.
 *
 *     struct bittern device;
 *     bittern_open(&device, registers, memory, physical_address, bytes);
 *     bittern_load(&device, image, image_bytes);                  file of `bittern image`
 *     bittern_run(&device, inputs, lengths, count, logits, polls);
 *
 * `memory` is what the accelerator reads and writes, mapped uncached, or cached with `sync` set. Functions return a
 * bittern_result; bittern_explain() says what it means and what to do. After any of them the device takes the next call. */
#ifndef BITTERN_H
#define BITTERN_H

#include <stdint.h>

#include "bittern_registers.h"

#ifdef __cplusplus
extern "C" {
#endif

enum bittern_result {
    BITTERN_OK,
    BITTERN_WRONG_DEVICE,
    BITTERN_WRONG_VERSION,
    BITTERN_BAD_IMAGE,
    BITTERN_WRONG_PROGRAM,
    BITTERN_NO_MEMORY,
    BITTERN_NOT_LOADED,
    BITTERN_BAD_INPUT,
    BITTERN_TIMEOUT,
    BITTERN_FAILED /* error_code and error_instruction of the device say why */
};

/* First 68 bytes of an image file; see boards/c/image.py. Little-endian. */
struct bittern_image {
    uint32_t magic, version, configuration;
    uint32_t image_bytes, program_offset, program_length;
    uint32_t input_bytes, output_bytes; /* of a sample */
    uint32_t output_rows, output_columns, output_row_bytes;
    uint32_t tokens;
    uint32_t input_size; /* vocabulary, or codes of a patch */
    uint32_t input_bits; /* of a code; 0: the input is token ids */
    uint32_t banks_and_depth; /* R in bits 15:0, K in 31:16 */
    uint32_t batch; /* samples that a run computes */
    uint32_t crc; /* CRC-32 of the image that follows */
};

struct bittern {
    volatile uint32_t *registers;
    volatile uint32_t *memory;
    uint64_t memory_base, memory_bytes;
    uint32_t watchdog; /* clock cycles without progress before the accelerator gives up; may be set before a load */
    /* Cached memory: called after writing and before reading a range. NULL for uncached memory. */
    void (*sync)(volatile void *start, uint64_t bytes);
    struct bittern_image program; /* valid if program.magic is set */
    uint64_t input, output; /* offsets in memory */
    uint32_t count; /* samples of the last run */
    uint32_t error_code, error_instruction; /* of the last BITTERN_FAILED */
};

/* `memory` has `memory_bytes` bytes, is aligned to 4,096 and is at `memory_base` for the accelerator. */
int bittern_open(struct bittern *device, volatile void *registers, volatile void *memory, uint64_t memory_base,
                 uint64_t memory_bytes);

/* Checks the image and copies it to the memory; the caller's copy is no longer needed. */
int bittern_load(struct bittern *device, const void *image, uint64_t bytes);

/* Begins a run of `count` samples, 1 to `batch`. `inputs[i]`: `tokens` token ids, or tokens * input_size codes row by row;
 * `lengths[i]`: tokens that are not padding. What is out of range is BITTERN_BAD_INPUT. */
int bittern_start(struct bittern *device, const int32_t *const *inputs, const uint32_t *lengths, uint32_t count);

/* Waits for its end, looking at most `polls` times, and copies output_rows * output_columns logits of each sample; those of
 * absent tokens are 0. */
int bittern_finish(struct bittern *device, int16_t *logits, uint64_t polls);

/* Both. */
int bittern_run(struct bittern *device, const int32_t *const *inputs, const uint32_t *lengths, uint32_t count,
                int16_t *logits, uint64_t polls);

/* Counter `index` of the last run, in the order of bittern_registers.h. */
uint32_t bittern_counter(const struct bittern *device, uint32_t index);

const char *bittern_explain(int result);

#ifdef __cplusplus
}
#endif

#endif
