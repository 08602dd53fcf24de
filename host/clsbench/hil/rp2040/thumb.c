/* ARMv6-M for the emulated RP2040: runs instructions on the emulator's own memories until one
 * needs more than memory.
 *
 * It knows registers, flags, SRAM, the first mapping of the flash, the boot ROM and, of the
 * SIO block, the core number and the divider. Whatever else an instruction touches, and every
 * instruction of the system's (interrupts, sleep, special registers, break), is left to the
 * caller: `thumb_run` stops before it. So between two calls the state is that of a whole number
 * of instructions. Cycles are counted as rp2040py counts them, so that times are the same with
 * either.
 *
 * Source: ARM DDI 0419 (ARMv6-M) A5, A6.7.
 */

#include "thumb_arithmetic.h"

/* -- several registers at once. `from` to the end of them must be memory. */

static inline uint32_t count(uint32_t list)
{
    return (uint32_t)__builtin_popcount(list);
}

static inline uint8_t *span(uint8_t *(*at)(struct thumb *, uint32_t, uint32_t), struct thumb *s,
                            uint32_t from, uint32_t words)
{
    uint8_t *first = at(s, from, 4);
    if (!first || !words)
        return 0;
    return at(s, from + 4 * words - 4, 4) == first + 4 * words - 4 ? first : 0;
}

static inline void load_list(struct thumb *s, const uint8_t *at, uint32_t list)
{
    for (int i = 0; i < 8; i++)
        if (list >> i & 1) {
            memcpy(&s->r[i], at, 4);
            at += 4;
        }
}

static inline uint8_t *store_list(const struct thumb *s, uint8_t *at, uint32_t list)
{
    for (int i = 0; i < 8; i++)
        if (list >> i & 1) {
            memcpy(at, &s->r[i], 4);
            at += 4;
        }
    return at;
}

static int push(struct thumb *s, uint32_t op)
{
    uint32_t list = op & 0xff, words = count(op & 0x1ff);
    uint8_t *at = span(writable, s, s->r[SP] - 4 * words, words);
    if (!at)
        return SLOW;
    at = store_list(s, at, list);
    if (op & 0x100)
        memcpy(at, &s->r[LR], 4);
    s->r[SP] -= 4 * words;
    return 1 + (int)count(list);
}

static int pop(struct thumb *s, uint32_t op)
{
    uint32_t list = op & 0xff, words = count(op & 0x1ff), target = 0;
    uint8_t *at = span(readable, s, s->r[SP], words);
    if (!at)
        return SLOW;
    if (op & 0x100) {
        memcpy(&target, at + 4 * count(list), 4);
        if (target >> 28 == 15) /* may be the end of an exception */
            return SLOW;
        s->r[PC] = target & ~1u;
    }
    load_list(s, at, list);
    s->r[SP] += 4 * words;
    return 1 + (int)count(list) + (op & 0x100 ? 2 : 0);
}

static int load_many(struct thumb *s, uint32_t op)
{
    uint32_t list = op & 0xff, base = op >> 8 & 7, words = count(list), from = s->r[base];
    uint8_t *at = span(readable, s, from, words);
    if (!at)
        return SLOW;
    load_list(s, at, list);
    if (!(list >> base & 1))
        s->r[base] = from + 4 * words;
    return 1 + (int)words;
}

static int store_many(struct thumb *s, uint32_t op)
{
    uint32_t list = op & 0xff, base = op >> 8 & 7, words = count(list), from = s->r[base];
    uint8_t *at = list >> base & 1 ? 0 : span(writable, s, from, words);
    if (!at)
        return SLOW;
    store_list(s, at, list);
    s->r[base] = from + 4 * words;
    return 1 + (int)words;
}

/* -- the rest of the groups; each returns its cycles or SLOW. PC is that of the instruction. */

static inline uint32_t reg(const struct thumb *s, uint32_t number)
{
    return number == PC ? s->r[PC] + 4 : s->r[number];
}

/* ADD, CMP, MOV with high registers, BX, BLX (A5.2.3) */
static int special(struct thumb *s, uint32_t op)
{
    uint32_t d = (op >> 4 & 8) | (op & 7), m = reg(s, op >> 3 & 15), value;
    switch (op >> 8 & 3) {
    case 0: value = reg(s, d) + m; break;
    case 1:
        add(s, s->r[d], ~m, 1);
        s->r[PC] += 2;
        return 1;
    case 2: value = m; break;
    default:
        if (op & 7 || m >> 28 == 15)
            return SLOW;
        if (op & 0x80)
            s->r[LR] = (s->r[PC] + 2) | 1;
        s->r[PC] = m & ~1u;
        return 2;
    }
    if (d == PC) {
        s->r[PC] = value & ~1u;
        return 2;
    }
    s->r[d] = d == SP ? value & ~3u : value;
    s->r[PC] += 2;
    return 1;
}

/* SXTH, SXTB, UXTH, UXTB and REV, REV16, REVSH (A5.2.5) */
static int extend(struct thumb *s, uint32_t op)
{
    uint32_t m = s->r[op >> 3 & 7], *d = &s->r[op & 7];
    switch (op >> 6) {
    case 0x2c8: *d = (uint32_t)(int16_t)m; break;
    case 0x2c9: *d = (uint32_t)(int8_t)m; break;
    case 0x2ca: *d = m & 0xffff; break;
    case 0x2cb: *d = m & 0xff; break;
    case 0x2e8: *d = __builtin_bswap32(m); break;
    case 0x2e9: *d = (m >> 8 & 0x00ff00ff) | (m << 8 & 0xff00ff00); break;
    case 0x2eb: *d = (uint32_t)(int16_t)__builtin_bswap16((uint16_t)m); break;
    default: return SLOW;
    }
    s->r[PC] += 2;
    return 1;
}

/* BL and the barriers; the other long ones are the caller's (A5.3) */
static int wide(struct thumb *s, uint32_t op)
{
    uint32_t low, sign, offset;
    if (load16(s, s->r[PC] + 2, &low) == SLOW)
        return SLOW;
    if (op == 0xf3bf && (low & 0xff00) == 0x8f00 && (low >> 4 & 15) - 4 < 3) {
        s->r[PC] += 4;
        return 3;
    }
    if ((low & 0xd000) != 0xd000)
        return SLOW;
    sign = op >> 10 & 1;
    offset = (sign ? 0xff000000u : 0) | ((low >> 13 & 1) ^ sign ^ 1) << 23
        | ((low >> 11 & 1) ^ sign ^ 1) << 22 | (op & 0x3ff) << 12 | (low & 0x7ff) << 1;
    s->r[LR] = (s->r[PC] + 4) | 1;
    s->r[PC] += 4 + offset;
    return 3;
}

/* Loads and stores of one register; adds their cycles. */
#define LOAD(how, address, target, as)                                                           \
    do {                                                                                         \
        uint32_t value;                                                                          \
        int more = how(s, (address), &value);                                                    \
        if (more == SLOW)                                                                        \
            return SLOW;                                                                         \
        s->r[target] = (uint32_t)(as)value;                                                      \
        s->r[PC] += 2;                                                                           \
        return 1 + more;                                                                         \
    } while (0)

#define STORE(how, address, source)                                                              \
    do {                                                                                         \
        int more = how(s, (address), s->r[source]);                                              \
        if (more == SLOW)                                                                        \
            return SLOW;                                                                         \
        s->r[PC] += 2;                                                                           \
        return 1 + more;                                                                         \
    } while (0)

#define NEXT                                                                                     \
    s->r[PC] += 2;                                                                               \
    return 1

static inline int step(struct thumb *s, uint32_t op)
{
    uint32_t *r = s->r;
    uint32_t low = op & 7, mid = op >> 3 & 7, high = op >> 6 & 7, top = op >> 8 & 7;
    uint32_t imm5 = op >> 6 & 31, imm8 = op & 0xff, value;
    int taken;
    switch (op >> 8) {
    case 0x00 ... 0x07:
        r[low] = value = shift_left(s, r[mid], imm5);
        set_nz(s, value);
        NEXT;
    case 0x08 ... 0x0f:
        r[low] = value = shift_right(s, r[mid], imm5 ? imm5 : 32);
        set_nz(s, value);
        NEXT;
    case 0x10 ... 0x17:
        r[low] = value = shift_signed(s, r[mid], imm5 ? imm5 : 32);
        set_nz(s, value);
        NEXT;
    case 0x18 ... 0x19: r[low] = add(s, r[mid], r[high], 0); NEXT;
    case 0x1a ... 0x1b: r[low] = add(s, r[mid], ~r[high], 1); NEXT;
    case 0x1c ... 0x1d: r[low] = add(s, r[mid], high, 0); NEXT;
    case 0x1e ... 0x1f: r[low] = add(s, r[mid], ~high, 1); NEXT;
    case 0x20 ... 0x27:
        r[top] = imm8;
        set_nz(s, imm8);
        NEXT;
    case 0x28 ... 0x2f: add(s, r[top], ~imm8, 1); NEXT;
    case 0x30 ... 0x37: r[top] = add(s, r[top], imm8, 0); NEXT;
    case 0x38 ... 0x3f: r[top] = add(s, r[top], ~imm8, 1); NEXT;
    case 0x40 ... 0x43: operate(s, op); NEXT;
    case 0x44 ... 0x47: return special(s, op);
    case 0x48 ... 0x4f: LOAD(load32, ((r[PC] + 4) & ~3u) + 4 * imm8, top, uint32_t);
    case 0x50 ... 0x51: STORE(store32, r[mid] + r[high], low);
    case 0x52 ... 0x53: STORE(store16, r[mid] + r[high], low);
    case 0x54 ... 0x55: STORE(store8, r[mid] + r[high], low);
    case 0x56 ... 0x57: LOAD(load8, r[mid] + r[high], low, int8_t);
    case 0x58 ... 0x59: LOAD(load32, r[mid] + r[high], low, uint32_t);
    case 0x5a ... 0x5b: LOAD(load16, r[mid] + r[high], low, uint32_t);
    case 0x5c ... 0x5d: LOAD(load8, r[mid] + r[high], low, uint32_t);
    case 0x5e ... 0x5f: LOAD(load16, r[mid] + r[high], low, int16_t);
    case 0x60 ... 0x67: STORE(store32, r[mid] + 4 * imm5, low);
    case 0x68 ... 0x6f: LOAD(load32, r[mid] + 4 * imm5, low, uint32_t);
    case 0x70 ... 0x77: STORE(store8, r[mid] + imm5, low);
    case 0x78 ... 0x7f: LOAD(load8, r[mid] + imm5, low, uint32_t);
    case 0x80 ... 0x87: STORE(store16, r[mid] + 2 * imm5, low);
    case 0x88 ... 0x8f: LOAD(load16, r[mid] + 2 * imm5, low, uint32_t);
    case 0x90 ... 0x97: STORE(store32, r[SP] + 4 * imm8, top);
    case 0x98 ... 0x9f: LOAD(load32, r[SP] + 4 * imm8, top, uint32_t);
    case 0xa0 ... 0xa7: r[top] = ((r[PC] + 4) & ~3u) + 4 * imm8; NEXT;
    case 0xa8 ... 0xaf: r[top] = r[SP] + 4 * imm8; NEXT;
    case 0xb0: r[SP] += (op & 0x80 ? 0u - (op & 0x7f) : op & 0x7f) * 4; NEXT;
    case 0xb2:
    case 0xba: return extend(s, op);
    case 0xb4 ... 0xb5:
        taken = push(s, op);
        if (taken != SLOW)
            r[PC] += 2;
        return taken;
    case 0xbc ... 0xbd:
        taken = pop(s, op);
        if (taken != SLOW && !(op & 0x100))
            r[PC] += 2;
        return taken;
    case 0xbf:
        if (op != 0xbf00)
            return SLOW;
        NEXT;
    case 0xc0 ... 0xc7:
        taken = store_many(s, op);
        if (taken != SLOW)
            r[PC] += 2;
        return taken;
    case 0xc8 ... 0xcf:
        taken = load_many(s, op);
        if (taken != SLOW)
            r[PC] += 2;
        return taken;
    case 0xd0 ... 0xdd:
        if (!holds(s, op >> 8 & 15)) {
            NEXT;
        }
        r[PC] += 4 + 2 * (uint32_t)(int8_t)imm8;
        return 2;
    case 0xe0 ... 0xe7: r[PC] += 4 + (uint32_t)((int32_t)((op & 0x7ff) << 21) >> 20); return 2;
    case 0xf0 ... 0xf7: return wide(s, op);
    default: return SLOW;
    }
}

/* Runs until `budget` cycles have passed or an instruction is the caller's; the cycles. */
int64_t thumb_run(struct thumb *s, int64_t budget)
{
    int64_t cycles = 0;
    uint64_t instructions = 0;
    s->slow = 0;
    s->r[PC] &= ~1u;
    while (cycles < budget) {
        uint32_t op;
        int taken;
        if (load16(s, s->r[PC], &op) == SLOW || (taken = step(s, op)) == SLOW) {
            s->slow = 1;
            break;
        }
        cycles += taken;
        instructions++;
    }
    s->instructions += instructions;
    return cycles;
}
