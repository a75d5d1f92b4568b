/* Linked into a program with -Wl,--wrap=mmap64: what it maps first of BITTERN_DEVICE is the registers of an RTL simulation,
 * what it maps second is the external memory of that simulation. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

typedef struct Harness Harness;
/* As in sim/memory_queue.h. */
typedef struct {
    uint32_t latency, bandwidth, outstanding, ceiling, burst, refresh_every, refresh;
} Timing;
typedef Harness *(*maker)(uint8_t *, uint64_t, uint64_t, const Timing *);
void trap_start(void *, Harness *, int (*)(Harness *, uint32_t, uint32_t *), int (*)(Harness *, uint32_t, uint32_t),
                int (*)(Harness *, uint64_t), int);
void *__real_mmap64(void *, size_t, int, int, int, off_t);
void *__wrap_mmap64(void *, size_t, int, int, int, off_t);

static void *registers;

void *__wrap_mmap64(void *address, size_t bytes, int protection, int flags, int file, off_t offset) {
    char link[64], path[4096] = "";
    void *mapped = __real_mmap64(address, bytes, protection, flags, file, offset);
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    if (readlink(link, path, sizeof path - 1) < 0 || strcmp(path, getenv("BITTERN_DEVICE"))) return mapped;
    if (!registers) {
        registers = mapped;
    } else {
        const Timing timing = {.latency = 40, .bandwidth = 256, .outstanding = 16};
        const uint64_t base = strtoull(getenv("BITTERN_MEMORY_BASE"), NULL, 0);
        /* Not linked: the harness and the driver both have a bittern_run. */
        void *library = dlopen(getenv("BITTERN_RTL"), RTLD_NOW | RTLD_LOCAL);
        Harness *rtl = ((maker)dlsym(library, "bittern_new"))(mapped, bytes, base, &timing);
        trap_start(registers, rtl, (int (*)(Harness *, uint32_t, uint32_t *))dlsym(library, "bittern_read"),
                   (int (*)(Harness *, uint32_t, uint32_t))dlsym(library, "bittern_write"),
                   (int (*)(Harness *, uint64_t))dlsym(library, "bittern_run"), -1);
    }
    return mapped;
}
