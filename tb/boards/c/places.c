/* Loads an image into plain memory and prints where the C library puts what.
 * usage: places IMAGE MEMORY_BYTES ...: for each size the result and the bases that the registers have. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bittern.h"

static uint32_t registers[1024];

static unsigned long long address(uint32_t low) {
    return registers[low / 4] | (unsigned long long)registers[low / 4 + 1] << 32;
}

int main(int argc, char **argv) {
    FILE *file = fopen(argv[1], "rb");
    struct bittern device;
    struct bittern_image head;
    uint8_t *image;
    long bytes;
    if (!file || fseek(file, 0, SEEK_END) || (bytes = ftell(file)) < (long)sizeof head) return 2;
    rewind(file);
    image = malloc((size_t)bytes);
    if (fread(image, 1, (size_t)bytes, file) != (size_t)bytes) return 2;
    memcpy(&head, image, sizeof head);
    registers[BITTERN_IDENTIFICATION / 4] = BITTERN_IDENTIFICATION_VALUE;
    registers[BITTERN_VERSION / 4] = BITTERN_VERSION_VALUE;
    registers[BITTERN_CONFIGURATION / 4] = head.configuration;
    for (int i = 2; i < argc; i++) {
        const uint64_t size = strtoull(argv[i], NULL, 0);
        void *memory = malloc(size);
        int result = bittern_open(&device, registers, memory, 0x870000000, size);
        if (result == BITTERN_OK) result = bittern_load(&device, image, (uint64_t)bytes);
        printf("%d %llu %llu %llu\n", result, address(BITTERN_IMAGE_BASE_LOW), address(BITTERN_INPUT_BASE_LOW),
               address(BITTERN_OUTPUT_BASE_LOW));
        free(memory);
    }
    return 0;
}
