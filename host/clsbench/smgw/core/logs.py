"""The three logs of a gateway: system, calibration, and one for each final consumer.

Numbers are consecutive within each log, from 1; a gap means a lost entry. Entries are values;
the store gives the numbers.
Sources: BSI TR-03109-1 (three logs); AR 2418-6 (codes of level and outcome); field names as
gateways export them.
"""

from dataclasses import dataclass

SYSTEM_LOG = "system"
CALIBRATION_LOG = "calibration"
_CONSUMER = "consumer/"

INFO = "INFO"
WARNING = "WARNING"
ERROR = "ERROR"
FATAL = "FATAL"
LEVELS = (INFO, WARNING, ERROR, FATAL)  # rising; AR 2418-6 codes 1 to 4
LEVEL_LETTERS = {"I": INFO, "W": WARNING, "E": ERROR, "F": FATAL}  # of `q.level`

SUCCESS = "SUCCESS"
FAILURE = "FAILURE"
OUTCOMES = (SUCCESS, FAILURE)  # AR 2418-6 codes 0 and 1


@dataclass(frozen=True, slots=True)
class LogEntry:
    """An entry of one of the logs.

    event: what happened, a dotted name; subject: the thing it happened to; user: who caused
    it, "" when that is the subject or the gateway itself.
    """

    log: str
    number: int
    t_ms: int
    level: str
    event: str
    outcome: str
    subject: str
    message: str
    user: str = ""


def consumer_log(final_consumer: str) -> str:
    """The name of a final consumer's log."""
    return f"{_CONSUMER}{final_consumer}"


def consumer_of(log: str) -> str | None:
    """The final consumer whose log this is; None for the other two."""
    return log.removeprefix(_CONSUMER) if log.startswith(_CONSUMER) else None


def levels_from(level: str) -> tuple[str, ...]:
    """This level and all graver ones."""
    return LEVELS[LEVELS.index(level) :]
