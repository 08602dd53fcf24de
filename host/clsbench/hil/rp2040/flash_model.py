"""The Pico's flash chip with the times it takes, and with what a power cut leaves of them.

Stands in for rp2040py's, which erases and programs in no time. Busy as a W25Q16JV: the boot
ROM's polling of the status register waits, with interrupts off, as on the chip. Those polls cost
the emulator nothing: each lets a stretch of time pass at once, in which other blocks (UARTs,
timers) go on. Source of the times: W25Q16JV datasheet 9.6, typical.
"""

import random
from dataclasses import dataclass

from rp2040py.peripherals.ssi import (
    CMD_BLOCK_ERASE,
    CMD_PAGE_PROGRAM,
    CMD_READ_STATUS_1,
    CMD_SECTOR_ERASE,
    FLASH_BLOCK_SIZE,
    FLASH_PAGE_SIZE,
    FLASH_SECTOR_SIZE,
    RPSSI,
)

SECTOR_ERASE_NS = 45e6
BLOCK_ERASE_NS = 150e6
PAGE_PROGRAM_NS = 0.4e6
_POLL_NS = 1e6  # the longest stretch of one poll
_BUSY = 1


@dataclass
class _Work:
    """What the chip does until `end_ns`. before: what stood there; the new stands there now."""

    address: int
    before: bytes
    begin_ns: float
    end_ns: float


class TimedFlash(RPSSI):
    """erases, programs: how many the chip was ordered. busy_ns: how long it was busy in all."""

    erases: int
    programs: int
    busy_ns: float

    def begin(self) -> None:
        """Takes over from the emulator's own, before anything runs."""
        self.erases = 0
        self.programs = 0
        self.busy_ns = 0.0
        self._work: _Work | None = None

    @property
    def busy(self) -> bool:
        """Whether it erases or programs."""
        work = self._work
        return work is not None and self.rp2040.clock.nanos < work.end_ns

    def _shift_byte(self, byte_out: int) -> int:
        answer = super()._shift_byte(byte_out)
        if len(self._tx_buffer) < 2 or self._tx_buffer[0] != CMD_READ_STATUS_1:
            return answer
        if not self.busy:
            return answer
        assert self._work is not None
        clock = self.rp2040.clock
        clock.tick(min(_POLL_NS, self._work.end_ns - clock.nanos))
        return answer | _BUSY * self.busy

    def _apply_command(self) -> None:
        order = bytes(self._tx_buffer[:4])
        ready = self._write_enabled and len(self._tx_buffer) >= 4
        opcode = order[0] if order else 0
        address = int.from_bytes(order[1:4], "big")
        if ready and opcode == CMD_SECTOR_ERASE:
            self._start(address, FLASH_SECTOR_SIZE, SECTOR_ERASE_NS)
            self.erases += 1
        elif ready and opcode == CMD_BLOCK_ERASE:
            self._start(address, FLASH_BLOCK_SIZE, BLOCK_ERASE_NS)
            self.erases += FLASH_BLOCK_SIZE // FLASH_SECTOR_SIZE
        elif ready and opcode == CMD_PAGE_PROGRAM:
            self._start(address, FLASH_PAGE_SIZE, PAGE_PROGRAM_NS)
            self.programs += 1
        super()._apply_command()

    def _start(self, address: int, size: int, duration_ns: float) -> None:
        address &= ~(size - 1)
        now = self.rp2040.clock.nanos
        before = bytes(self.rp2040.flash[address : address + size])
        self._work = _Work(address, before, now, now + duration_ns)
        self.busy_ns += duration_ns

    def tear(self, seed: int) -> bool:
        """The supply fails now: of the bits that an erase or program under way would change, as
        many have changed as time has passed, which ones is chance. Whether there was such work."""
        work = self._work
        now = self.rp2040.clock.nanos
        if work is None or now >= work.end_ns:
            return False
        share = (now - work.begin_ns) / (work.end_ns - work.begin_ns)
        dice = random.Random(seed)
        flash = self.rp2040.flash
        for index, old in enumerate(work.before):
            place = work.address + index
            changing = old ^ flash[place]
            if changing:
                mask = sum(1 << bit for bit in range(8) if dice.random() < share)
                flash[place] = old ^ (changing & mask)
        self._work = None
        return True
