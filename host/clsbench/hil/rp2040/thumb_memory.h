/* What `thumb.c` knows of the chip: its state, the memories, and the divider of the SIO.
 *
 * Source: RP2040 datasheet 2.3.1.5 (divider), 2.2 (addresses).
 */

#ifndef THUMB_MEMORY_H
#define THUMB_MEMORY_H

#include <stdint.h>
#include <string.h>

#define FLASH 0x10000000u
#define SRAM 0x20000000u
#define SIO 0xd0000000u
#define DIVIDER 0x60u
#define DIVIDER_END 0x7cu

enum { UDIVIDEND, UDIVISOR, SDIVIDEND, SDIVISOR, QUOTIENT, REMAINDER, CSR };
enum { SP = 13, LR = 14, PC = 15 };
enum { SLOW = -1 };

/* As clsbench.hil.rp2040.thumb has it. */
struct thumb {
    uint32_t *r;
    uint8_t *flash, *sram, *rom;
    uint32_t flash_size, sram_size, rom_size;
    uint32_t n, z, c, v; /* 0 or 1 */
    uint32_t slow;       /* the next instruction is the caller's */
    uint32_t dividend, divisor, quotient, remainder, csr;
    uint64_t instructions;
};

/* -- the divider of the SIO */

static void divide(struct thumb *s, int is_signed)
{
    uint32_t a = s->dividend, b = s->divisor;
    if (b == 0) {
        s->quotient = is_signed && (int32_t)a < 0 ? 1u : UINT32_MAX;
        s->remainder = a;
    } else if (!is_signed) {
        s->quotient = a / b;
        s->remainder = a % b;
    } else { /* in 64 bit: -2^31 / -1 has no result in 32 */
        s->quotient = (uint32_t)((int64_t)(int32_t)a / (int32_t)b);
        s->remainder = (uint32_t)((int64_t)(int32_t)a % (int32_t)b);
    }
    s->csr = 3; /* ready, dirty */
}

static int sio_read(struct thumb *s, uint32_t offset, uint32_t *value)
{
    if (offset == 0) { /* CPUID */
        *value = 0;
        return 0;
    }
    if (offset < DIVIDER || offset >= DIVIDER_END || offset & 3)
        return SLOW;
    switch ((offset - DIVIDER) / 4) {
    case UDIVIDEND:
    case SDIVIDEND: *value = s->dividend; break;
    case UDIVISOR:
    case SDIVISOR: *value = s->divisor; break;
    case QUOTIENT:
        *value = s->quotient;
        s->csr &= ~2u;
        break;
    case REMAINDER: *value = s->remainder; break;
    case CSR: *value = s->csr; break;
    }
    return 0;
}

static int sio_write(struct thumb *s, uint32_t offset, uint32_t value)
{
    if (offset < DIVIDER || offset >= DIVIDER_END - 4 || offset & 3)
        return SLOW;
    switch ((offset - DIVIDER) / 4) {
    case UDIVIDEND:
    case SDIVIDEND:
        s->dividend = value;
        divide(s, offset == DIVIDER + 4 * SDIVIDEND);
        break;
    case UDIVISOR:
    case SDIVISOR:
        s->divisor = value;
        divide(s, offset == DIVIDER + 4 * SDIVISOR);
        break;
    case QUOTIENT:
        s->quotient = value;
        s->csr = 3;
        break;
    case REMAINDER:
        s->remainder = value;
        s->csr = 3;
        break;
    }
    return 0;
}

/* -- memory. Each returns the cycles it takes besides the instruction's own, or SLOW. */

static inline uint8_t *readable(struct thumb *s, uint32_t address, uint32_t size)
{
    if (address & (size - 1))
        return 0;
    if (address - SRAM < s->sram_size)
        return s->sram + (address - SRAM);
    if (address - FLASH < s->flash_size)
        return s->flash + (address - FLASH);
    if (address < s->rom_size)
        return s->rom + address;
    return 0;
}

static inline uint8_t *writable(struct thumb *s, uint32_t address, uint32_t size)
{
    if (address & (size - 1) || address - SRAM >= s->sram_size)
        return 0;
    return s->sram + (address - SRAM);
}

static inline int load32(struct thumb *s, uint32_t address, uint32_t *value)
{
    uint8_t *at = readable(s, address, 4);
    if (!at)
        return address >> 28 == SIO >> 28 ? sio_read(s, address - SIO, value) : SLOW;
    memcpy(value, at, 4);
    return 1;
}

static inline int load16(struct thumb *s, uint32_t address, uint32_t *value)
{
    uint16_t half;
    uint8_t *at = readable(s, address, 2);
    if (!at)
        return SLOW;
    memcpy(&half, at, 2);
    *value = half;
    return 1;
}

static inline int load8(struct thumb *s, uint32_t address, uint32_t *value)
{
    uint8_t *at = readable(s, address, 1);
    if (!at)
        return SLOW;
    *value = *at;
    return 1;
}

static inline int store32(struct thumb *s, uint32_t address, uint32_t value)
{
    uint8_t *at = writable(s, address, 4);
    if (!at)
        return address >> 28 == SIO >> 28 ? sio_write(s, address - SIO, value) : SLOW;
    memcpy(at, &value, 4);
    return 1;
}

static inline int store16(struct thumb *s, uint32_t address, uint32_t value)
{
    uint16_t half = (uint16_t)value;
    uint8_t *at = writable(s, address, 2);
    if (!at)
        return SLOW;
    memcpy(at, &half, 2);
    return 1;
}

static inline int store8(struct thumb *s, uint32_t address, uint32_t value)
{
    uint8_t *at = writable(s, address, 1);
    if (!at)
        return SLOW;
    *at = (uint8_t)value;
    return 1;
}

#endif
