"""A simulated SML meter that answers requests: the pull mode of the wired LMN.

Pure: bytes in, bytes out. Requests are read with the second reader, answers written with the
encoder; nothing here comes from the device. What it cannot serve it refuses as SML 1.05 has it,
with an attention response.
"""

from collections.abc import Callable, Sequence
from typing import Any

from clsbench.meters import sml_encode
from clsbench.meters.sml_encode import Value
from clsbench.meters.sml_second_reader import files

Row = tuple[int, int, Sequence[Value]]
"""(Unix seconds of the end of a period, status, values)."""

MAX_WAITING = 8192  # bytes of a request that has not ended
PERIOD_S = 900

# kinds of requests
OPEN = 0x0100
CLOSE = 0x0200
PROFILE_PACK = 0x0300
PROFILE_LIST = 0x0400
PARAMETER = 0x0500
LIST = 0x0700

# last two bytes of an attention's number
NO_SUCH_SERVER = 0xFE03
NOT_EXECUTED = 0xFE0A
UNEXPECTED = 0xFE0D
NO_ENTRY = 0xFE13


class SmlResponder:
    """Answers what it is asked for.

    read_values: called for each request, returns the meter's values. seconds: its seconds
    counter. rows: called for a request of a profile, oldest first. requests: kind -> number
    asked so far; refused: number answered with an attention.
    """

    def __init__(
        self,
        server_id: bytes,
        read_values: Callable[[], list[Value]],
        seconds: Callable[[], int],
        rows: Callable[[], Sequence[Row]] = tuple,
    ):
        self.requests: dict[int, int] = {}
        self.refused = 0
        self._server_id = server_id
        self._read_values = read_values
        self._seconds = seconds
        self._rows = rows
        self._waiting = b""

    def feed(self, data: bytes) -> list[bytes]:
        """Takes received bytes; returns an answer for every whole request file among them."""
        self._waiting += data
        found = files(self._waiting)
        end = found[-1][0] if found else 0
        self._waiting = self._waiting[end:][-MAX_WAITING:]
        return [self._answer(messages) for _, messages in found]

    def _answer(self, messages: list[tuple[Any, Any]]) -> bytes:
        file_id = b"\x01"
        bodies: list[tuple[int, bytes]] = []
        if not messages or messages[0][0] != OPEN:
            bodies.append(self._refuse(UNEXPECTED, "file without open"))
        for tag, body in messages:
            self.requests[tag] = self.requests.get(tag, 0) + 1
            if tag == OPEN:
                file_id = _octets(body, 2) or file_id
            elif tag != CLOSE:
                bodies += self._serve(tag, body)
        return sml_encode.file(self._server_id, file_id, bodies, sum(self.requests.values()))

    def _serve(self, tag: int, body: Any) -> list[tuple[int, bytes]]:
        if tag not in (LIST, PARAMETER, PROFILE_LIST) or not isinstance(body, list):
            return [self._refuse(UNEXPECTED, "request not supported")]
        asked = _octets(body, 1 if tag == LIST else 0)
        if asked not in (None, self._server_id):
            return [self._refuse(NO_SUCH_SERVER, "no such meter")]
        if tag == LIST:
            listed = sml_encode.value_list(
                self._server_id, self._read_values(), self._seconds(), _octets(body, 4)
            )
            return [(sml_encode.GET_LIST, listed)]
        return self._parameter(body) if tag == PARAMETER else self._profile(body)

    def _parameter(self, body: list[Any]) -> list[tuple[int, bytes]]:
        path = body[3] if len(body) == 5 and isinstance(body[3], list) else []
        for value in self._read_values():
            if path and value[0] == path[-1]:
                encoded = sml_encode.parameter(self._server_id, path, value)
                return [(sml_encode.PARAMETER, encoded)]
        return [self._refuse(NOT_EXECUTED, "no such parameter")]

    def _profile(self, body: list[Any]) -> list[tuple[int, bytes]]:
        if len(body) != 9 or not isinstance(body[6], list):
            return [self._refuse(NOT_EXECUTED, "no such profile")]
        begin, end = _seconds(body[4]), _seconds(body[5])
        wanted = body[7] if isinstance(body[7], list) else None
        found = []
        for utc_s, status, values in self._rows():
            if (begin is None or utc_s >= begin) and (end is None or utc_s <= end):
                kept = [value for value in values if wanted is None or value[0] in wanted]
                row = (utc_s, status, kept)
                encoded = sml_encode.profile(self._server_id, body[6], row, PERIOD_S)
                found.append((sml_encode.PROFILE_LIST, encoded))
        return found or [self._refuse(NO_ENTRY, "no entry in this range")]

    def _refuse(self, number: int, text: str) -> tuple[int, bytes]:
        self.refused += 1
        return sml_encode.ATTENTION, sml_encode.attention(self._server_id, number, text)


def _octets(body: Any, place: int) -> bytes | None:
    value = body[place] if isinstance(body, list) and place < len(body) else None
    return value if isinstance(value, bytes) else None


def _seconds(time: Any) -> int | None:
    """The number of a timestamp, None of anything else."""
    if isinstance(time, list) and len(time) == 2 and time[0] == 2 and isinstance(time[1], int):
        return int(time[1])
    return None
