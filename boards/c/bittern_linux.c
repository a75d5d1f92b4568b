/* Runs inferences from a Linux shell:
 *
 *     bittern_linux DEVICE REGISTERS MEMORY ADDRESS BYTES IMAGE INPUTS
 *
 * REGISTERS and MEMORY are offsets in DEVICE: 0 and 4096 for a UIO device, physical addresses for /dev/mem. ADDRESS is the
 * physical address of the memory and BYTES its size. INPUTS holds, for each sample, 32-bit words: its length, then token ids
 * or codes. Samples run in batches of what the image computes. Prints the logits of each sample on one line, then the cycles
 * of its batch. */
#define _FILE_OFFSET_BITS 64
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bittern.h"

#define POLLS 10000000u
#define MOST_LOGITS 65536
#define MOST_SAMPLES 8

static int16_t logits[MOST_LOGITS];

static int fail(const char *what, const char *why) {
    fprintf(stderr, "bittern_linux: %s: %s\n", what, why);
    return 1;
}

static void *map(const char *path, int flags, int protection, uint64_t offset, size_t *bytes) {
    struct stat status;
    const int file = open(path, flags);
    if (file < 0 || (!*bytes && fstat(file, &status))) return MAP_FAILED;
    if (!*bytes) *bytes = (size_t)status.st_size;
    void *mapped = mmap(NULL, *bytes, protection, MAP_SHARED, file, (off_t)offset);
    close(file);
    return mapped;
}

int main(int count, char **arguments) {
    if (count != 8) return fail("usage", "bittern_linux DEVICE REGISTERS MEMORY ADDRESS BYTES IMAGE INPUTS");
    const char *device_path = arguments[1];
    size_t register_bytes = 4096, memory_bytes = strtoull(arguments[5], NULL, 0), image_bytes = 0, input_bytes = 0;
    void *registers = map(device_path, O_RDWR | O_SYNC, PROT_READ | PROT_WRITE, strtoull(arguments[2], NULL, 0), &register_bytes);
    if (registers == MAP_FAILED) return fail(device_path, strerror(errno));
    void *memory = map(device_path, O_RDWR | O_SYNC, PROT_READ | PROT_WRITE, strtoull(arguments[3], NULL, 0), &memory_bytes);
    if (memory == MAP_FAILED) return fail(device_path, strerror(errno));
    void *image = map(arguments[6], O_RDONLY, PROT_READ, 0, &image_bytes);
    if (image == MAP_FAILED) return fail(arguments[6], strerror(errno));
    int32_t *inputs = map(arguments[7], O_RDONLY, PROT_READ, 0, &input_bytes);
    if (inputs == MAP_FAILED) return fail(arguments[7], strerror(errno));

    struct bittern device;
    int result = bittern_open(&device, registers, memory, strtoull(arguments[4], NULL, 0), memory_bytes);
    if (result) return fail(device_path, bittern_explain(result));
    result = bittern_load(&device, image, image_bytes);
    if (result) return fail(arguments[6], bittern_explain(result));
    const struct bittern_image *program = &device.program;
    const uint64_t outputs = (uint64_t)program->output_rows * program->output_columns;
    if (program->batch > MOST_SAMPLES || program->batch * outputs > MOST_LOGITS)
        return fail(arguments[6], "more logits than this program has room for");
    const uint64_t words = 1 + (uint64_t)program->tokens * (program->input_bits ? program->input_size : 1);
    if (input_bytes % (4 * words)) return fail(arguments[7], "not a whole number of samples");

    int status = 0;
    const int32_t *sample = inputs, *const end = inputs + input_bytes / 4;
    while (sample < end) {
        const int32_t *batch[MOST_SAMPLES];
        uint32_t lengths[MOST_SAMPLES], samples = 0;
        for (; samples < program->batch && sample < end; samples++, sample += words) {
            batch[samples] = sample + 1;
            lengths[samples] = (uint32_t)sample[0];
        }
        result = bittern_run(&device, batch, lengths, samples, logits, POLLS);
        if (result == BITTERN_FAILED)
            printf("error %" PRIu32 " at instruction %" PRIu32 "\n", device.error_code, device.error_instruction);
        else if (result)
            printf("%s\n", bittern_explain(result));
        for (uint64_t i = 0; !result && i < samples * outputs; i++) {
            printf("%d ", logits[i]);
            if (i % outputs == outputs - 1) printf("cycles %" PRIu32 "\n", bittern_counter(&device, 0));
        }
        status |= result != 0;
    }
    return status;
}
