/* Flags, addition, shifts: what `thumb.c` computes with.
 *
 * Source: ARM DDI 0419 (ARMv6-M) A2.2.1, A6.7.
 */

#ifndef THUMB_ARITHMETIC_H
#define THUMB_ARITHMETIC_H

#include "thumb_memory.h"

/* -- flags and arithmetic (A2.2.1, AddWithCarry) */

static inline void set_nz(struct thumb *s, uint32_t value)
{
    s->n = value >> 31;
    s->z = value == 0;
}

static inline uint32_t add(struct thumb *s, uint32_t a, uint32_t b, uint32_t carry)
{
    uint64_t sum = (uint64_t)a + b + carry;
    uint32_t result = (uint32_t)sum;
    s->c = (uint32_t)(sum >> 32);
    s->v = (~(a ^ b) & (a ^ result)) >> 31;
    set_nz(s, result);
    return result;
}

static inline int holds(const struct thumb *s, uint32_t condition)
{
    int result;
    switch (condition >> 1) {
    case 0: result = s->z; break;
    case 1: result = s->c; break;
    case 2: result = s->n; break;
    case 3: result = s->v; break;
    case 4: result = s->c && !s->z; break;
    case 5: result = s->n == s->v; break;
    default: result = s->n == s->v && !s->z; break;
    }
    return condition & 1 ? !result : result;
}

/* Shifts by 1 to 32 and more; the carry is the last bit shifted out. By 0 nothing changes. */

static inline uint32_t shift_left(struct thumb *s, uint32_t value, uint32_t by)
{
    if (by == 0)
        return value;
    s->c = by <= 32 ? value >> (32 - by) & 1 : 0;
    return by < 32 ? value << by : 0;
}

static inline uint32_t shift_right(struct thumb *s, uint32_t value, uint32_t by)
{
    if (by == 0)
        return value;
    s->c = by <= 32 ? value >> (by - 1) & 1 : 0;
    return by < 32 ? value >> by : 0;
}

static inline uint32_t shift_signed(struct thumb *s, uint32_t value, uint32_t by)
{
    if (by == 0)
        return value;
    if (by > 31) {
        s->c = value >> 31;
        return s->c ? UINT32_MAX : 0;
    }
    s->c = value >> (by - 1) & 1;
    return (uint32_t)((int32_t)value >> by);
}

static inline uint32_t rotate(struct thumb *s, uint32_t value, uint32_t by)
{
    if (by == 0)
        return value;
    by &= 31;
    if (by)
        value = value >> by | value << (32 - by);
    s->c = value >> 31;
    return value;
}

/* The sixteen operations on two low registers (A5.2.2). All take a cycle. */
static inline void operate(struct thumb *s, uint32_t op)
{
    uint32_t *d = &s->r[op & 7];
    uint32_t m = s->r[op >> 3 & 7], value = *d;
    switch (op >> 6 & 15) {
    case 0: value &= m; break;
    case 1: value ^= m; break;
    case 2: value = shift_left(s, value, m & 255); break;
    case 3: value = shift_right(s, value, m & 255); break;
    case 4: value = shift_signed(s, value, m & 255); break;
    case 5: *d = add(s, value, m, s->c); return;
    case 6: *d = add(s, value, ~m, s->c); return;
    case 7: value = rotate(s, value, m & 255); break;
    case 8: set_nz(s, value & m); return;         /* TST */
    case 9: *d = add(s, ~m, 0, 1); return;        /* RSBS */
    case 10: add(s, value, ~m, 1); return;        /* CMP */
    case 11: add(s, value, m, 0); return;         /* CMN */
    case 12: value |= m; break;
    case 13: value *= m; break;
    case 14: value &= ~m; break;
    default: value = ~m; break;
    }
    *d = value;
    set_nz(s, value);
}

#endif
