"""Models of the Pico's UART and flash, and the emulator's defects: without an image."""

import pytest
from rp2040py.rp2040 import RP2040
from rp2040py.usb.cdc import USBCDC

from clsbench.hil.rp2040 import upstream
from clsbench.hil.rp2040.flash_model import SECTOR_ERASE_NS, TimedFlash
from clsbench.hil.rp2040.uart_model import DEPTH, TimedUart

CR, DR, LCR_H, IBRD, FR, IMSC, RIS = 0x30, 0x00, 0x2C, 0x24, 0x18, 0x38, 0x3C
BUSY, RX, TIMEOUT = 1 << 3, 1 << 4, 1 << 6
SECTOR, ERASE, ENABLE_WRITE, STATUS = 0x100000, 0x20, 0x06, 0x05


@pytest.fixture
def chip():
    chip = RP2040()
    upstream.mend(chip, USBCDC(chip.usb_ctrl))
    return chip


@pytest.fixture
def uart(chip):
    uart = chip.uart[0]
    for register, value in ((IBRD, 813), (LCR_H, 0x70), (CR, 0x301)):
        uart.write_uint32(register, value)
    return uart


def pass_time(chip, ns):
    chip.clock.tick(ns)


@pytest.mark.parametrize("defect", upstream.DEFECTS, ids=lambda defect: defect.name)
def test_what_is_mended_is_wrong_in_the_emulator_and_its_probe_says_so(defect):
    assert defect.present(), "this rp2040py has it right: ours can go"


def test_mended_blocks_pass_the_probes(chip, monkeypatch):
    monkeypatch.setattr(upstream, "RP2040", lambda: chip)
    for probe in (upstream._uart_sends_in_no_time, upstream._flash_is_never_busy):
        assert not probe()
    assert not upstream._outputs_read_as_low()


def test_bytes_leave_one_after_the_other_at_the_speed_of_the_wire(chip, uart):
    left = []
    uart.on_byte = lambda byte: left.append((byte, chip.clock.nanos))
    for byte in b"abc":
        uart.write_uint32(DR, byte)
    assert uart.read_uint32(FR) & BUSY and not left
    pass_time(chip, 4 * uart.char_ns)
    assert [byte for byte, _ in left] == list(b"abc")
    assert [round(when / uart.char_ns, 6) for _, when in left] == [1, 2, 3]
    assert not uart.read_uint32(FR) & BUSY


def test_a_full_fifo_loses_and_counts(uart):
    for byte in range(DEPTH + 5):
        uart.feed_byte(byte)
    assert uart.lost == 5
    assert [uart.read_uint32(DR) for _ in range(DEPTH)] == list(range(DEPTH))


def test_four_bytes_interrupt_and_fewer_do_after_a_silence(chip, uart):
    for byte in b"ab":
        uart.feed_byte(byte)
    assert not uart.read_uint32(RIS) & (RX | TIMEOUT)
    pass_time(chip, 33 * uart.bit_ns)
    assert uart.read_uint32(RIS) & TIMEOUT
    for byte in b"cdefghijklmnop":
        uart.feed_byte(byte)
    assert uart.read_uint32(RIS) & RX


def erase(chip):
    chip.ssi.write_uint32(0x08, 1)
    upstream._command(chip.ssi, (ENABLE_WRITE,))
    upstream._command(chip.ssi, (ERASE, SECTOR >> 16, 0, 0))


def test_flash_is_busy_for_as_long_as_an_erase_takes_and_time_passes_meanwhile(chip):
    begin = chip.clock.nanos
    erase(chip)
    polls = 0
    while upstream._command(chip.ssi, (STATUS, 0))[-1] & 1:
        polls += 1
    assert chip.clock.nanos - begin == pytest.approx(SECTOR_ERASE_NS)
    assert 10 < polls < 100 and chip.ssi.erases == 1


def test_a_cut_in_an_erase_leaves_some_bits_of_before(chip):
    chip.flash[SECTOR : SECTOR + 4096] = bytes(4096)
    erase(chip)
    chip.clock.tick(SECTOR_ERASE_NS / 2)
    assert isinstance(chip.ssi, TimedFlash) and chip.ssi.tear(1)
    ones = sum(byte.bit_count() for byte in bytes(chip.flash[SECTOR : SECTOR + 4096]))
    assert 0.45 < ones / (4096 * 8) < 0.55
    assert not chip.ssi.busy


def test_a_reset_stops_the_wire(chip, uart):
    left = []
    uart.on_byte = left.append
    uart.write_uint32(DR, 1)
    uart.reset()
    pass_time(chip, 1e8)
    assert left == [] and isinstance(uart, TimedUart)
