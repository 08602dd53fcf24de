"""Drafts of signed gateway records, one method for each kind of record.

Brings content (`core.records`), signature and time state together; stores nothing.
"""

from collections.abc import Callable
from typing import Any

from clsbench.smgw.core.clock_state import TimeSource, TimeState
from clsbench.smgw.core.derived import Derived
from clsbench.smgw.core.evaluation import TafProfile
from clsbench.smgw.core.grid import Slot
from clsbench.smgw.core.readings import OriginalReading
from clsbench.smgw.core.records import (
    content_bytes,
    due_record,
    period_record,
    state_record,
    taf16_record,
)
from clsbench.smgw.core.taf16 import Announcement
from clsbench.smgw.store import Draft

Sign = Callable[[bytes], bytes]


class Recorder:
    """Makes drafts for one gateway. sign(content) -> CMS; time: of its clock."""

    def __init__(self, smgw_id: str, sign: Sign, time: TimeSource):
        self._time = time
        self._smgw_id = smgw_id
        self._sign = sign

    @property
    def time_state(self) -> TimeState:
        """State of legal time now."""
        return self._time.time_state()

    def state_of(self, reading: OriginalReading | None) -> TimeState:
        """State that the capture time of a reading deserves; without a reading, that of now."""
        if reading is None:
            return self.time_state
        return self._time.state_of_stamp(reading.captured_ms)

    def event(
        self, taf: TafProfile, announcement: Announcement, reading: OriginalReading
    ) -> Draft:
        """TAF16: the reading of an announced event."""
        return self._draft(
            taf,
            reading.captured_ms,
            lambda seq: taf16_record(
                self._smgw_id, taf, seq, announcement, reading, self.state_of(reading)
            ),
        )

    def due(self, taf: TafProfile, slot: Slot) -> Draft:
        """TAF7, TAF14, cyclic TAF9 and 10: a due time, with its reading or without."""
        return self._draft(
            taf,
            slot.reading.captured_ms if slot.reading else None,
            lambda seq: due_record(self._smgw_id, taf, seq, slot, self.state_of(slot.reading)),
        )

    def state(self, taf: TafProfile, reading: OriginalReading, trigger: str) -> Draft:
        """TAF9 and 10: a reading asked for, or sent because of a threshold."""
        return self._draft(
            taf,
            reading.captured_ms,
            lambda seq: state_record(
                self._smgw_id, taf, seq, reading, self.state_of(reading), trigger
            ),
        )

    def period(self, taf: TafProfile, meter_id: str, registers: list[Derived]) -> Draft:
        """TAF1, 2 and 6: the registers of a period that has ended."""
        return self._draft(
            taf,
            None,
            lambda seq: period_record(
                self._smgw_id, taf, seq, meter_id, registers, self.time_state
            ),
        )

    def _draft(
        self, taf: TafProfile, captured_ms: int | None, record: Callable[[int], dict[str, Any]]
    ) -> Draft:
        def build(seq: int) -> tuple[bytes, bytes]:
            content = content_bytes(record(seq))
            return content, self._sign(content)

        return Draft(taf.profile_id, taf.emts, captured_ms, build)
