"""The application on the emulated Pico: heap, bytes at 115200 while the journal erases, flash."""

from pathlib import Path

import pytest
from rp2040_kit import ENABLE, UF2, frames, high_times, needs_image

from clsbench.device.boards import board_facts
from clsbench.device.build import build_firmware
from clsbench.device.provision import device_files
from clsbench.hil.benching import Bench
from clsbench.hil.rp2040.board import FIRMWARE, Rp2040Board

BAUD = 115200
FACTS = board_facts(FIRMWARE)
TRANSACTIONS = 40  # at most, until the journal has erased

pytestmark = pytest.mark.timeout(1500)


@pytest.fixture(scope="module")
def pico(tmp_path_factory):
    """A bench around a Pico whose meter is at 115200 baud."""
    work = tmp_path_factory.mktemp("pico")
    board = Rp2040Board(work, Path(UF2))
    bench = Bench(board, work)
    firmware = build_firmware(FIRMWARE, work / "compiled")
    config = bench._config({"baud": BAUD, "poll_ms": 200})
    board.start(firmware + device_files(config, bench.pki, bench.key_file))
    board.uart(board.wiring.bus_uart, BAUD).connect(bench.meter)
    bench.ready(60.0)
    yield bench
    board.close()


def test_all_bytecode_of_a_pico_stays_within_its_limit(tmp_path):
    files = build_firmware(FIRMWARE, tmp_path)
    size = sum(len(content) for path, content in files if path.endswith(".mpy"))
    assert size <= FACTS.mpy_kib * 1024


@needs_image
def test_heap_after_boot_with_journal_mounted_and_meter_polled(pico):
    status = pico.link.status()
    assert status["meter"]["good_reads"] > 0 and status["journal"]["capacity"] > 0
    assert status["heap"]["free"] >= FACTS.heap_free_kib * 1024


@needs_image
def test_no_byte_is_lost_at_115200_baud_while_the_journal_erases(pico):
    board = pico.board
    mcu = board.chip.mcu
    wire = board.uart(board.wiring.bus_uart, BAUD)
    before = storage(board)
    erases = mcu.ssi.erases
    for _ in range(TRANSACTIONS):
        pico.transaction()
        board.sleep(0.5)  # the journal's task looks every 200 ms
        if mcu.ssi.erases > erases:
            break
    assert mcu.ssi.erases > erases
    assert mcu.uart[board.wiring.bus_uart].lost == 0
    assert (wire.unsent, wire.unheard) == (0, 0)
    assert pico.link.status()["meter"]["failed_reads"] == 0
    assert changed(before, storage(board)) <= set(range(FACTS.record_start, FACTS.storage_blocks))


@needs_image
def test_driver_is_on_for_each_frame_of_the_application_and_off_before_the_answer(pico):
    wire = pico.board.uart(pico.board.wiring.bus_uart, BAUD)
    spans = high_times(pico.board.pin(ENABLE))
    answered = frames(wire.trace)
    assert answered
    for begin_s, end_s, answer_s in answered:
        assert any(on_s <= begin_s and end_s <= off_s <= answer_s for on_s, off_s in spans)


@needs_image
def test_file_system_ends_where_the_records_begin(pico):
    blocks = pico.board.repl("import os\nprint(os.statvfs('/')[2])", 60.0)
    assert int(blocks) == FACTS.fs_blocks
    assert FACTS.storage_blocks - FACTS.fs_blocks >= FACTS.record_sectors + FACTS.settings_sectors
    before = storage(pico.board)
    pico.board.repl("with open('/ballast', 'wb') as f:\n    f.write(bytes(30000))", 60.0)
    touched = changed(before, storage(pico.board))
    assert touched and max(touched) < FACTS.record_start


def storage(board) -> bytes:
    """The part of the flash that MicroPython gives access to."""
    return board.chip.flash[-FACTS.storage_blocks * FACTS.block_size :]


def changed(before: bytes, after: bytes) -> set[int]:
    """Numbers of the blocks that are not as they were."""
    size = FACTS.block_size
    return {
        start // size
        for start in range(0, len(before), size)
        if before[start : start + size] != after[start : start + size]
    }
