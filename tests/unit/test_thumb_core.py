"""The C core of the emulated RP2040 does with registers, flags, memory and cycles what rp2040py's
own core does; where that one differs from ARM's manual, what the manual says."""

import os
import random
import shutil
import subprocess

import pytest

rp2040py = pytest.importorskip("rp2040py", reason="rp2040py is not installed: clsbench[rp2040]")

from rp2040py.simulator import Simulator  # noqa: E402

from clsbench.hil.rp2040.thumb import thumb_core  # noqa: E402

PROBE = "#include <stdint.h>\n#include <string.h>\nint probe(void) { return 0; }\n"


def compiles():
    """Whether there is a C compiler with its headers: then ours has to compile, too."""
    compiler = shutil.which(os.environ.get("CC") or "cc")
    command = [str(compiler), "-shared", "-fPIC", "-x", "c", "-", "-o", os.devnull]
    return compiler is not None and not subprocess.run(command, input=PROBE.encode()).returncode


pytestmark = pytest.mark.skipif(not compiles(), reason="no C compiler")

SRAM = 0x20000000
CODE, DATA, STACK = SRAM + 0x1000, SRAM + 0x8000, SRAM + 0x10000
DIVIDER = 0xD0000060
TRIALS = 30_000
BKPT, NOP = 0xBE00, 0xBF00
LR, PC = 14, 15
N, Z, C, V = 8, 4, 2, 1
TOP, MASK = 0x80000000, 0xFFFFFFFF
VALUES = (0, 1, 2, 31, 32, 33, 255, 256, 0x7FFFFFFF, TOP, 0xFFFFFFFE, 0xFFFFFFFF, DATA)

# data processing, loads and stores of all kinds, branches; halfwords with what may vary
FORMS = (
    (0x0000, 0x1FFF),  # shifts by a constant, ADDS, SUBS
    (0x2000, 0x1FFF),  # MOVS, CMP, ADDS, SUBS with 8 bits
    (0x4000, 0x03FF),  # the sixteen operations
    (0x4400, 0x0077),  # ADD, CMP, MOV with high registers
    (0x4500, 0x0077),
    (0x4600, 0x0077),
    (0x4800, 0x0707),  # LDR from the literals
    (0x9000, 0x0F0F),  # LDR, STR by SP
    (0xA000, 0x0FFF),  # ADR, ADD from SP
    (0xB200, 0x00FF),  # SXTH to UXTB
    (0xBA00, 0x007F),  # REV, REV16
    (0xBAC0, 0x003F),  # REVSH
    (0xB400, 0x01FF),  # PUSH
    (0xBC00, 0x00FF),  # POP without PC
    (0xBF00, 0x0000),  # NOP
)
MEMORY_FORMS = (  # [rn] with rn in DATA; the bits that may vary leave the base alone
    *((0x6000 | op << 11, 0x07C7) for op in range(5)),  # STR, LDR, STRB, LDRB, STRH
    (0x8800, 0x07C7),  # LDRH
    *((0x5000 | op << 9, 0x0007) for op in range(8)),
)
BASE, INDEX = 6, 7


class Both:
    """The same chip twice: `ours` with the C core, `theirs` with rp2040py's own."""

    def __init__(self, seed):
        self.ours, self.theirs = chip(seed), chip(seed)
        core = thumb_core(self.ours)
        assert core is not None
        self.core = core

    def start(self, values, flags):
        for made in (self.ours, self.theirs):
            core = made.rp2040.core
            for number, value in enumerate(values):
                core.registers[number] = value
            core.apsr = flags << 28

    def put(self, address, halfwords):
        for made in (self.ours, self.theirs):
            for offset, half in enumerate(halfwords):
                at = address - SRAM + 2 * offset
                made.rp2040.sram[at : at + 2] = half.to_bytes(2, "little")

    def step(self):
        """An instruction in both: its cycles in each. () when C leaves it to rp2040py."""
        taken = self.core.stretch(1)
        if self.core.held_up:
            return ()
        return taken, self.theirs.rp2040.core.execute_instruction()

    def states(self):
        return [
            (list(made.rp2040.core.registers), made.rp2040.core.apsr >> 28)
            for made in (self.ours, self.theirs)
        ]


def chip(seed):
    made = Simulator()
    made.rp2040.sram[:] = random.Random(seed).randbytes(len(made.rp2040.sram))
    return made


def registers(dice):
    values = [
        dice.choice(VALUES) if dice.random() < 0.5 else dice.getrandbits(32) for _ in range(13)
    ]
    values[BASE] = DATA + 4 * dice.randrange(64)
    values[INDEX] = 4 * dice.randrange(64)
    return [*values, STACK + 4 * dice.randrange(8), dice.getrandbits(32) | 1, CODE]


def instruction(dice):
    if dice.random() < 0.3:
        form, varies = dice.choice(MEMORY_FORMS)
        by_register = form >> 12 == 5
        form |= BASE << 3 | (INDEX << 6 if by_register else 0)
    else:
        form, varies = dice.choice(FORMS)
    return form | dice.getrandbits(16) & varies


def is_told_otherwise(halfword, values):
    """Whether rp2040py's flags are not those of the manual: ADCS and SBCS beside the sign's
    change, shifts by a register's 0 or by 32 and more."""
    if halfword >> 10 != 0x10:
        return False
    operation, by = halfword >> 6 & 15, values[halfword >> 3 & 7]
    if operation in (5, 6):
        return by in (0x7FFFFFFF, TOP) or values[halfword & 7] in (0x7FFFFFFF, TOP)
    return operation in (2, 3, 4, 7) and not 0 < by & 255 < 32


def test_every_instruction_does_what_it_does_in_rp2040pys_own_core():
    dice = random.Random(2040)
    both = Both(1)
    ran = left = 0
    for _ in range(TRIALS):
        halfword, values, flags = instruction(dice), registers(dice), dice.getrandbits(4)
        both.start(values, flags)
        both.put(CODE, [halfword, NOP])
        taken = both.step()
        if not taken:  # nothing is half done then
            left += 1
            assert both.states()[0] == (values, flags), hex(halfword)
            continue
        ran += 1
        ours, theirs = both.states()
        if is_told_otherwise(halfword, values):
            ours, theirs = ours[0], theirs[0]
        assert ours == theirs and len(set(taken)) == 1, (hex(halfword), values, flags)
    assert both.ours.rp2040.sram == both.theirs.rp2040.sram
    assert ran > 0.9 * TRIALS > 10 * left


@pytest.mark.parametrize("condition", range(14))
def test_branches_go_where_the_manual_sends_them(condition):
    both = Both(2)
    for flags in range(16):
        for offset in (0, 1, 0x7F, 0x80, 0xFF):
            both.start([0] * 15 + [CODE], flags)
            both.put(CODE, [0xD000 | condition << 8 | offset])
            taken = both.step()
            ours, theirs = both.states()
            assert ours == theirs and len(set(taken)) == 1


@pytest.mark.parametrize("offset", [0, 1, -1, 0x3FF, -0x400])
def test_calls_and_returns_go_there_and_back(offset):
    both = Both(3)
    both.start([0] * 13 + [STACK, 0, CODE], 0)
    both.put(CODE, [0xE000 | offset & 0x7FF])
    assert both.step() == (2, 2)
    imm = offset * 2 & 0x1FFFFFF
    sign = imm >> 24
    j1, j2 = (imm >> 23 & 1) ^ sign ^ 1, (imm >> 22 & 1) ^ sign ^ 1
    both.start([0] * 13 + [STACK, 0, CODE], 0)
    call = [
        0xF000 | sign << 10 | imm >> 12 & 0x3FF,
        0xD000 | j1 << 13 | j2 << 11 | imm >> 1 & 0x7FF,
    ]
    both.put(CODE, call)
    assert both.step() == (3, 3)
    ours, theirs = both.states()
    assert ours == theirs and ours[0][PC] == CODE + 4 + 2 * offset and ours[0][LR] == CODE + 5
    for back in (0x4770, 0x46F7):  # BX LR, MOV PC, LR
        both.start([*ours[0][:PC], CODE], 0)
        both.put(CODE, [back])
        both.step()
        assert both.states()[0][0][PC] == both.states()[1][0][PC] == CODE + 4


# by the manual: A6.7.2 (ADCS), A6.7.59 (SBCS), A6.7.36, 38, 12, 54 (shifts), A2.2.1
@pytest.mark.parametrize(
    ("halfword", "first", "second", "flags", "result", "after"),
    [
        pytest.param(0x4148, 0x7FFFFFFF, 0, C, TOP, N | V, id="adcs-over-the-sign"),
        pytest.param(0x4148, 0, 0x7FFFFFFF, C, TOP, N | V, id="adcs-other-way-round"),
        pytest.param(0x4148, 0xFFFFFFFF, 0, C, 0, Z | C, id="adcs-carry"),
        pytest.param(0x4188, 0, 0x7FFFFFFF, 0, TOP, N, id="sbcs-to-the-lowest"),
        pytest.param(0x4188, TOP, 0, 0, 0x7FFFFFFF, C | V, id="sbcs-below-the-lowest"),
        pytest.param(0x4188, 0, 0xFFFFFFFF, 0, 0, Z, id="sbcs-borrow-all"),
        pytest.param(0x4088, 5, 0, C | V, 5, C | V, id="lsls-0-leaves-carry"),
        pytest.param(0x4088, 1, 32, 0, 0, Z | C, id="lsls-32"),
        pytest.param(0x4088, 1, 33, C, 0, Z, id="lsls-33"),
        pytest.param(0x40C8, TOP, 0, 0, TOP, N, id="lsrs-0-leaves-carry"),
        pytest.param(0x40C8, TOP, 32, 0, 0, Z | C, id="lsrs-32"),
        pytest.param(0x40C8, TOP, 255, C, 0, Z, id="lsrs-255"),
        pytest.param(0x4108, TOP, 0, 0, TOP, N, id="asrs-0-leaves-carry"),
        pytest.param(0x4108, TOP, 200, 0, 0xFFFFFFFF, N | C, id="asrs-200"),
        pytest.param(0x41C8, TOP, 0, 0, TOP, N, id="rors-0-leaves-carry"),
        pytest.param(0x41C8, TOP, 32, 0, TOP, N | C, id="rors-32"),
        pytest.param(0x41C8, 1, 33, 0, TOP, N | C, id="rors-33"),
    ],
)
def test_flags_are_the_manuals_where_rp2040py_has_others(
    halfword, first, second, flags, result, after
):
    both = Both(4)
    both.start([first, second, *[0] * 13, CODE], flags)
    both.put(CODE, [halfword])
    assert both.core.stretch(1) == 1
    values, found = both.states()[0]
    assert (values[0], found) == (result, after)


# RP2040 datasheet 2.3.1.5
@pytest.mark.parametrize(
    ("is_signed", "dividend", "divisor", "quotient", "remainder"),
    [
        (False, 100, 7, 14, 2),
        (False, 0xFFFFFFFF, 1, 0xFFFFFFFF, 0),
        (False, 5, 0, 0xFFFFFFFF, 5),
        (True, -100, 7, -14, -2),
        (True, 100, -7, -14, 2),
        (True, -5, 0, 1, -5),
        (True, 5, 0, -1, 5),
        (True, -(2**31), -1, -(2**31), 0),
    ],
)
def test_the_divider_divides_as_the_datasheet_says(
    is_signed, dividend, divisor, quotient, remainder
):
    both = Both(5)
    at = 8 if is_signed else 0
    both.start([dividend & MASK, divisor & MASK, DIVIDER, 0, 0, 0, 0, *[0] * 8, CODE], 0)
    program = [0x6010 | at << 4, 0x6051 | at << 4, 0x6953, 0x6914, 0x6995]  # STR x2, LDR x3
    both.put(CODE, program)
    for _ in program:
        assert both.core.stretch(1) == 1
    registers_, _ = both.states()[0]
    assert registers_[3] == remainder & MASK and registers_[4] == quotient & MASK
    assert registers_[5] & 1  # ready


def test_what_is_not_memorys_is_left_to_rp2040py():
    both = Both(6)
    for halfwords in ([BKPT], [0xBF30], [0xBF20], [0xB672], [0xB662], [0xDF00], [0xDE00]):
        both.start([0] * 13 + [STACK, 0, CODE], 0)
        both.put(CODE, halfwords)
        assert both.step() == (), hex(halfwords[0])
    for halfwords in ([0xF3EF, 0x8010], [0xF380, 0x8810]):  # MRS, MSR
        both.put(CODE, halfwords)
        assert both.step() == ()
    timer, exception = 0x40054000, 0xFFFFFFF9
    both.start([timer, exception, *[0] * 11, STACK, exception, CODE], 0)
    for halfword in (0x6800, 0x6002, 0x4708, 0x4770):  # LDR, STR there; BX R1, BX LR
        both.put(CODE, [halfword])
        assert both.step() == (), hex(halfword)


def alarmed(made, run):
    """Runs to the end with an alarm every 777 ns; when they rang, and what R0 was."""
    moments = []

    def ring():
        moments.append((made.clock.nanos, made.rp2040.core.registers[0]))
        alarm.schedule(777.0)

    alarm = made.clock.create_alarm(ring)
    alarm.schedule(777.0)
    made.stopped = False
    while not made.stopped:
        run()
    alarm.cancel()
    return moments


def test_a_program_takes_the_same_time_with_alarms_in_between():
    both = Both(7)
    # counts R0 down from 100,000 and adds up what the timer says
    program = [0x3801, 0x6A8A, 0x18D3, 0x2800, 0xD1FA, BKPT]
    both.put(CODE, program)
    both.start([100_000, 0x40054000, *[0] * 11, STACK, 0, CODE], 0)
    seen = [alarmed(both.ours, both.core.run), alarmed(both.theirs, both.theirs._execute_batch)]
    assert seen[0] == seen[1] and len(seen[0]) > 1000
    assert both.ours.clock.nanos == both.theirs.clock.nanos
    assert both.states()[0] == both.states()[1]
