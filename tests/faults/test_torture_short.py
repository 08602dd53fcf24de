"""The torture rigs in their short form, and proof that they would find what they look for.

`make torture` runs them at full size: every byte of every program and erase.
"""

import importlib.util
import sys
from pathlib import Path

import pytest
from nor_model import BARELY, ERASE, PAGE, PREFIX, PROGRAM, SCATTER, SECTOR, WEAK, NorModel
from sessions import Life

from dicamm.store import journal, journal_sector, journal_slot, journal_writer

ROOT = Path(__file__).resolve().parents[2]


def _load_tool():
    spec = importlib.util.spec_from_file_location("torture", ROOT / "tools" / "torture.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules["torture"] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


torture = _load_tool()


@pytest.mark.parametrize("interpreter", torture.INTERPRETERS)
def test_nothing_promised_is_lost_wherever_the_power_fails(interpreter):
    results = [(run, run.result()) for run in torture.runs(False, 1, (interpreter,))]
    total, well = torture.summary(results)
    assert well, [result["first"] for _, result in results]
    assert total["wraps"] >= 3 and total["full"] > 0 and total["accepted"] > 0
    assert total["program_cuts"] > 100 and total["erase_cuts"] > 200 and total["cuts"] > 1200


def test_full_run_has_the_promised_size():
    rings = [run for run in torture.runs(True, 1, torture.INTERPRETERS) if run.rig == "ring"]
    for interpreter in torture.INTERPRETERS:
        numbers = [run.numbers for run in rings if run.interpreter == interpreter]
        assert [n[0] for n in numbers] == list(range(numbers[0][1]))  # no operation left out
        assert {n[2] for n in numbers} == {1}  # no byte left out


def test_crash_of_a_run_is_a_failure():
    result = torture.Run("cpython", "ring", (0,)).result()
    assert result["failures"] == 1 and "TypeError" in result["first"]


# -- the model of the flash


def test_cut_program_leaves_what_was_before_and_behind():
    for mode in (PREFIX, SCATTER, WEAK, BARELY):
        flash = NorModel(1, seed=3)
        flash.program(0, 0, b"\x0f" * 8 + b"\xff" * (PAGE - 8))
        page = b"\xff" * 8 + b"\xa5" * (PAGE - 8)
        flash.tear(PROGRAM, 0, page, 100, mode)
        buffer = bytearray(PAGE)
        for _ in range(20):
            flash.read(0, 0, buffer)
            assert buffer[:8] == b"\x0f" * 8
            assert all(byte & 0xA5 == 0xA5 for byte in buffer[8:])


def test_torn_place_flickers_until_it_is_written_for_good():
    flash = NorModel(1, seed=5)
    flash.tear(PROGRAM, 0, bytes(PAGE), 128, SCATTER)
    seen = set()
    buffer = bytearray(PAGE)
    for _ in range(10):
        flash.read(0, 0, buffer)
        seen.add(bytes(buffer))
    assert len(seen) == 10
    flash.program(0, 0, bytes(PAGE))
    flash.read(0, 0, buffer)
    assert bytes(buffer) == bytes(PAGE) and flash.noise == {} or not any(flash.noise[0])


def test_cut_erase_leaves_the_rest_of_the_sector_and_other_sectors():
    flash = NorModel(2, seed=1)
    for sector in (0, 1):
        for offset in range(0, SECTOR, PAGE):
            flash.program(sector, offset, bytes(PAGE))
    flash.tear(ERASE, 0, b"", 1000, PREFIX)
    assert flash.data[:1000] == b"\xff" * 1000
    assert flash.data[1001:] == bytes(2 * SECTOR - 1001)


def test_model_refuses_what_flash_cannot_do():
    flash = NorModel(1)
    flash.program(0, 0, bytes(PAGE))
    with pytest.raises(AssertionError, match="cannot become"):
        flash.program(0, 0, b"\x01" * PAGE)
    with pytest.raises(AssertionError, match="whole page"):
        flash.program(0, 1, bytes(PAGE))


# -- would it be found? each fault is built into the journal, and the rigs must notice


def failures_of_lives(seeds, sessions=300):
    total = 0
    for seed in seeds:
        life = Life(3 + seed % 3, seed)
        try:
            for _ in range(sessions):
                life.session(30)
                if life.findings.failures:
                    break
        except (AssertionError, IndexError, ValueError):
            return total + 1
        total += life.findings.failures
        if total:
            break
    return total


def test_lives_are_clean_without_a_fault():
    assert failures_of_lives([1], sessions=60) == 0


def test_missing_check_sum_is_found(monkeypatch):
    monkeypatch.setattr(journal_slot.Slot, "_check", lambda self, data, turn: 0)
    assert failures_of_lives(range(1, 6))


def test_write_over_a_torn_place_is_found(monkeypatch):
    monkeypatch.setattr(journal_writer.Writer, "_kill", lambda self, index, offset, start: None)
    assert failures_of_lives(range(1, 6))


def test_newest_record_left_weak_is_found(monkeypatch):
    monkeypatch.setattr(journal_sector.Sector, "heal", lambda self, page: None)
    assert failures_of_lives(range(1, 6))


def test_erased_evidence_is_found(monkeypatch):
    monkeypatch.setattr(journal.Journal, "_blocking", lambda self, turn: 0)
    assert failures_of_lives(range(1, 6))


def test_number_given_twice_is_found(monkeypatch):
    mount = journal_writer.Writer.mount

    def forgetful(self):
        found = mount(self)
        self.newest = max(0, self.newest - 1)
        return found

    monkeypatch.setattr(journal_writer.Writer, "mount", forgetful)
    assert failures_of_lives([1])
