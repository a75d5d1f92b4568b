/* Registers of the Bittern accelerator. Generated from isa/registers.py by `bittern documents`. */
#ifndef BITTERN_REGISTERS_H
#define BITTERN_REGISTERS_H

#define BITTERN_IDENTIFICATION_VALUE 0x4E525442u
#define BITTERN_VERSION_VALUE 3u

#define BITTERN_IDENTIFICATION 0x000u /* read: 0x4E525442 */
#define BITTERN_VERSION 0x004u /* read: of this map */
#define BITTERN_CONTROL 0x008u /* read/write: bit 0 start, ignored while busy; 1 abort, ignored unless busy */
#define BITTERN_STATUS 0x00Cu /* read: bit 0 busy, 1 done, 2 error; done and error are cleared by start */
#define BITTERN_ERROR_CODE 0x010u /* read: first error, see Error; cleared by start */
#define BITTERN_ERROR_INSTRUCTION 0x014u /* read: index of the instruction that caused it */
#define BITTERN_INTERRUPT_ENABLE 0x018u /* read/write: bit 0 enables the interrupt */
#define BITTERN_INTERRUPT 0x01Cu /* read/write: bit 0 pending: set when a run ends or fails; write 1 to clear */
#define BITTERN_IMAGE_BASE_LOW 0x020u /* read/write: byte address of region IMAGE */
#define BITTERN_IMAGE_BASE_HIGH 0x024u /* read/write */
#define BITTERN_INPUT_BASE_LOW 0x028u /* read/write: byte address of region INPUT */
#define BITTERN_INPUT_BASE_HIGH 0x02Cu /* read/write */
#define BITTERN_OUTPUT_BASE_LOW 0x030u /* read/write: byte address of region OUTPUT */
#define BITTERN_OUTPUT_BASE_HIGH 0x034u /* read/write */
#define BITTERN_PROGRAM_OFFSET 0x038u /* read/write: of the first instruction in region IMAGE */
#define BITTERN_PROGRAM_LENGTH 0x03Cu /* read/write: instructions, HALT included */
#define BITTERN_WATCHDOG 0x044u /* read/write: cycles without progress before an error; 0 is off */
#define BITTERN_DEADLINE 0x048u /* read/write: cycles that a run may take before an error; 0 is off */
#define BITTERN_ERROR_PORT 0x04Cu /* read: 1 + the memory port that answered with it, or never; 0 is none */
#define BITTERN_SHAPE 0x050u /* read: log2 of R, C, K, D in bits 7:0, 15:8, 23:16, 31:24 */
#define BITTERN_LANES 0x054u /* read: log2 of row lanes in bits 7:0, of the DMA's bits in 15:8, of ports in 23:16 */
#define BITTERN_CONFIGURATION 0x058u /* read: checksum of all sizes, see `isa.config`; must be the program's */
#define BITTERN_LENGTH0 0x060u /* read/write: tokens of sample 0 that are not padding, 16 bit; 0: there is no such sample */
#define BITTERN_LENGTH1 0x064u /* read/write: tokens of sample 1 that are not padding, 16 bit; 0: there is no such sample */
#define BITTERN_LENGTH2 0x068u /* read/write: tokens of sample 2 that are not padding, 16 bit; 0: there is no such sample */
#define BITTERN_LENGTH3 0x06Cu /* read/write: tokens of sample 3 that are not padding, 16 bit; 0: there is no such sample */
#define BITTERN_LENGTH4 0x070u /* read/write: tokens of sample 4 that are not padding, 16 bit; 0: there is no such sample */
#define BITTERN_LENGTH5 0x074u /* read/write: tokens of sample 5 that are not padding, 16 bit; 0: there is no such sample */
#define BITTERN_LENGTH6 0x078u /* read/write: tokens of sample 6 that are not padding, 16 bit; 0: there is no such sample */
#define BITTERN_LENGTH7 0x07Cu /* read/write: tokens of sample 7 that are not padding, 16 bit; 0: there is no such sample */
#define BITTERN_COUNTER_CYCLES 0x100u /* read: cycles from START to the end */
#define BITTERN_COUNTER_INSTRUCTIONS 0x104u /* read: instructions completed */
#define BITTERN_COUNTER_QMM_BUSY 0x108u /* read: cycles in which the array accumulated */
#define BITTERN_COUNTER_QMM_WAIT_SEMAPHORE 0x10Cu /* read: QMM waited for other queues */
#define BITTERN_COUNTER_QMM_WAIT_DRAIN 0x110u /* read: QMM waited for the drain of an earlier tile */
#define BITTERN_COUNTER_QMM_IDLE 0x114u /* read: no QMM instruction was there */
#define BITTERN_COUNTER_DRAIN_BUSY 0x118u /* read: cycles in which a group was drained */
#define BITTERN_COUNTER_DRAIN_STALL 0x11Cu /* read: the drain waited for its destination */
#define BITTERN_COUNTER_DMA_BUSY 0x120u /* read: a LOAD or GATHER was in progress */
#define BITTERN_COUNTER_DMA_WAIT_SEMAPHORE 0x124u /* read: a LOAD or GATHER waited for other queues */
#define BITTERN_COUNTER_DMA_WAIT_MEMORY 0x128u /* read: a LOAD or GATHER waited for external memory */
#define BITTERN_COUNTER_ROW_WAIT_SEMAPHORE 0x12Cu /* read: a row instruction waited for other queues */
#define BITTERN_COUNTER_ROW_WAIT_BUFFER 0x130u /* read: a row instruction waited for the row buffer */
#define BITTERN_COUNTER_SOFTMAX_BUSY 0x134u /* read: a SOFTMAX was in progress */
#define BITTERN_COUNTER_NORM_BUSY 0x138u /* read: a NORM was in progress */
#define BITTERN_COUNTER_STORE_BUSY 0x13Cu /* read: a STORE was in progress */
#define BITTERN_COUNTER_READ_BEATS 0x140u /* read: AXI read beats */
#define BITTERN_COUNTER_WRITE_BEATS 0x144u /* read: AXI write beats */
#define BITTERN_COUNTER_SATURATIONS 0x148u /* read: residual elements that saturated */
#define BITTERN_COUNTERS 19u /* 32-bit counters in a row from BITTERN_COUNTER_CYCLES on */

#define BITTERN_CONTROL_START 0x1u
#define BITTERN_CONTROL_ABORT 0x2u
#define BITTERN_STATUS_BUSY 0x1u
#define BITTERN_STATUS_DONE 0x2u
#define BITTERN_STATUS_ERROR 0x4u

enum bittern_error {
    BITTERN_ERROR_NONE = 0,
    BITTERN_ERROR_ILLEGAL_OPCODE = 1,
    BITTERN_ERROR_ADDRESS_RANGE = 2,
    BITTERN_ERROR_SHAPE = 3,
    BITTERN_ERROR_AXI_READ = 4,
    BITTERN_ERROR_AXI_WRITE = 5,
    BITTERN_ERROR_INDEX_RANGE = 6,
    BITTERN_ERROR_WATCHDOG = 7,
    BITTERN_ERROR_NO_HALT = 8,
    BITTERN_ERROR_ABORTED = 9,
    BITTERN_ERROR_DEADLINE = 10,
    BITTERN_ERROR_LEFTOVER = 11,
    BITTERN_ERROR_LOST = 12,
};

#endif
