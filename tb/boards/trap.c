/* Registers in memory that are really those of the RTL: every load and store of a mapped page becomes an AXI4-Lite transfer.
 *
 * The page is protected. An access faults; for a load the handler reads the register from the RTL into the page, then lets
 * the one instruction through by single stepping, and protects the page again; a store is let through and then written to
 * the RTL. So the code under test runs as it does on a board: volatile accesses at mapped addresses, nothing replaced.
 * Between accesses a thread lets simulated time pass. x86-64 Linux. */
#define _GNU_SOURCE
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <ucontext.h>
#include <unistd.h>

#define PAGE 4096
#define FAULT_IS_WRITE 2
#define SINGLE_STEP 0x100

typedef struct Harness Harness;
typedef int (*reader)(Harness *, uint32_t, uint32_t *);
typedef int (*writer)(Harness *, uint32_t, uint32_t);
typedef int (*runner)(Harness *, uint64_t);

static struct {
    uint8_t *page;
    Harness *rtl;
    reader read;
    writer write;
    runner run;
    int interrupt; /* the kernel's end of a UIO file, or -1 */
    volatile int stop;
    pthread_t thread;
    volatile uint32_t *pending; /* the access being single stepped */
    int is_write;
    int transfers;
    struct sigaction old_fault, old_step;
} trap;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static void on_fault(int number, siginfo_t *info, void *context) {
    ucontext_t *machine = context;
    uint8_t *address = info->si_addr;
    (void)number;
    if (!trap.page || address < trap.page || address >= trap.page + PAGE || trap.pending) {
        sigaction(SIGSEGV, &trap.old_fault, NULL); /* a real fault: it comes again, to whom it belongs */
        return;
    }
    uint32_t offset = (uint32_t)(address - trap.page) & ~3u;
    trap.is_write = (machine->uc_mcontext.gregs[REG_ERR] & FAULT_IS_WRITE) != 0;
    trap.pending = (volatile uint32_t *)(trap.page + offset);
    mprotect(trap.page, PAGE, PROT_READ | PROT_WRITE);
    if (!trap.is_write) {
        uint32_t value = 0;
        pthread_mutex_lock(&lock);
        if (trap.read(trap.rtl, offset, &value) != 1) value = 0xFFFFFFFFu; /* a real bus would raise an error */
        pthread_mutex_unlock(&lock);
        *trap.pending = value;
    }
    machine->uc_mcontext.gregs[REG_EFL] |= SINGLE_STEP;
}

static void on_step(int number, siginfo_t *info, void *context) {
    ucontext_t *machine = context;
    (void)number;
    (void)info;
    if (!trap.pending) return;
    machine->uc_mcontext.gregs[REG_EFL] &= ~SINGLE_STEP;
    if (trap.is_write) {
        pthread_mutex_lock(&lock);
        trap.write(trap.rtl, (uint32_t)((volatile uint8_t *)trap.pending - trap.page), *trap.pending);
        pthread_mutex_unlock(&lock);
    }
    trap.pending = NULL;
    trap.transfers++;
    mprotect(trap.page, PAGE, PROT_NONE);
}

/* Time passes; the interrupt reaches the file as UIO's does: once, until it is allowed again. */
static void *advance(void *nothing) {
    uint32_t count = 0, allow;
    int allowed = 1;
    while (!trap.stop) {
        pthread_mutex_lock(&lock);
        int high = trap.run(trap.rtl, 100) == 2;
        pthread_mutex_unlock(&lock);
        if (trap.interrupt >= 0) {
            if (recv(trap.interrupt, &allow, sizeof allow, MSG_DONTWAIT) == sizeof allow) allowed = allow;
            if (high && allowed) {
                count++, allowed = 0;
                if (send(trap.interrupt, &count, sizeof count, 0) != sizeof count) abort();
            }
        }
        usleep(1);
    }
    return nothing;
}

/* From here on `page` is the registers of `rtl`. */
void trap_start(void *page, Harness *rtl, reader read, writer write, runner run, int interrupt) {
    struct sigaction fault = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_NODEFER};
    struct sigaction step = {.sa_sigaction = on_step, .sa_flags = SA_SIGINFO | SA_NODEFER};
    trap.page = page, trap.rtl = rtl, trap.read = read, trap.write = write, trap.run = run;
    trap.interrupt = interrupt, trap.stop = 0, trap.transfers = 0;
    sigaction(SIGSEGV, &fault, &trap.old_fault);
    sigaction(SIGTRAP, &step, &trap.old_step);
    mprotect(page, PAGE, PROT_NONE);
    pthread_create(&trap.thread, NULL, advance, NULL);
}

/* Ends it; returns how many transfers there were. */
int trap_stop(void) {
    trap.stop = 1;
    pthread_join(trap.thread, NULL);
    mprotect(trap.page, PAGE, PROT_READ | PROT_WRITE);
    trap.page = NULL;
    sigaction(SIGSEGV, &trap.old_fault, NULL);
    sigaction(SIGTRAP, &trap.old_step, NULL);
    return trap.transfers;
}
