"""What the gateway tells: events of the bench's log, and entries of its own three logs.

System log for the administrator, consumer logs for final consumers, calibration log for
whatever bears on the readings. Source: BSI TR-03109-1 (three logs); field names as gateways
export them.
"""

import logging
from functools import partial
from typing import Any

from clsbench.clock import BenchClock
from clsbench.eventlog import EventLog
from clsbench.smgw.core.logs import (
    CALIBRATION_LOG,
    FAILURE,
    INFO,
    SUCCESS,
    SYSTEM_LOG,
    WARNING,
    consumer_log,
)
from clsbench.smgw.store import Store
from clsbench.smgw.worker import StoreWorker
from clsbench.steps import tell_step

__all__ = ["FAILURE", "INFO", "LANE_OF_ROLE", "SMGW", "SUCCESS", "WARNING", "Journal"]

log = logging.getLogger(__name__)

SMGW = "SMGW"
LANE_OF_ROLE = {
    "CLS": "DICAMM",
    "GWA": "GWA",
    "EMT": "aEMT",
    "SMGW": "SMGW",
    "CON": "operator",
    "SRV": "operator",
}


class Journal:
    """Writer of events and log entries; `event` is that of the bench's log, `step` a step of a
    switching in it.

    Log entries go to this process's own log as well.
    """

    def __init__(self, events: EventLog, store: Store, worker: StoreWorker, clock: BenchClock):
        self.event = events.event
        self.step = partial(tell_step, events)
        self._store = store
        self._worker = worker
        self._clock = clock

    def system(
        self, event: str, subject: str, message: str, level: str = INFO, outcome: str = SUCCESS
    ) -> None:
        """An entry of the system log."""
        self._log(SYSTEM_LOG, level, event, outcome, subject, message)

    def calibration(
        self, event: str, subject: str, message: str, level: str = INFO, outcome: str = SUCCESS
    ) -> None:
        """An entry of the calibration log."""
        self._log(CALIBRATION_LOG, level, event, outcome, subject, message)

    def consumer(
        self,
        final_consumer: str,
        event: str,
        subject: str,
        message: str,
        level: str = INFO,
        outcome: str = SUCCESS,
    ) -> None:
        """An entry of a final consumer's log."""
        self._log(consumer_log(final_consumer), level, event, outcome, subject, message)

    def refused(
        self,
        lane: str,
        event: str,
        subject: str,
        reason: str,
        uuid: str | None = None,
        detail: dict[str, Any] | None = None,
    ) -> None:
        """A refusal: one event `kind=fault ok=false` and one entry of the system log."""
        told = {"subject": subject, "reason": reason, **(detail or {})}
        self.event(lane, SMGW, "fault", event, uuid=uuid, ok=False, detail=told)
        self.system(event, subject, reason, WARNING, FAILURE)

    def _log(
        self, name: str, level: str, event: str, outcome: str, subject: str, message: str
    ) -> None:
        log.log(logging.getLevelName(level), "%s %s %s: %s", name, event, subject, message)
        now = self._clock.now_ms()
        self._worker.post(self._store.add_log, name, now, level, event, outcome, subject, message)
