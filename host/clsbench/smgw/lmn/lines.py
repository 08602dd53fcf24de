"""The serial lines of the gateway as they are now: one reader for each port, exchanged when the
meters on it change.

Knows sections, readers and the tasks they run in; no bytes.
"""

from clsbench.clock import BenchClock
from clsbench.smgw.config_profiles import LmnSection
from clsbench.smgw.core.readings import OriginalReading
from clsbench.smgw.journal import Journal
from clsbench.smgw.lmn.line import LineReader, OnReading
from clsbench.smgw.lmn.readers import Counters, line_readers
from clsbench.smgw.parts import Parts

Group = list[LmnSection]


class Lines:
    """Readers by port, running as parts."""

    def __init__(
        self,
        clock: BenchClock,
        journal: Journal,
        on_reading: OnReading,
        counters: Counters,
        parts: Parts,
    ):
        self._common = (clock, journal, on_reading, counters)
        self._parts = parts
        self._groups: dict[str, Group] = {}
        self._readers: dict[str, LineReader] = {}

    def prepared(self, sections: list[LmnSection]) -> dict[str, LineReader]:
        """Readers, not yet running, for ports whose meters differ from now. Raises BadInput."""
        changed = [
            section
            for port, group in _by_port(sections).items()
            if group != self._groups.get(port)
            for section in group
        ]
        return {reader.port: reader for reader in line_readers(changed, *self._common)}

    async def adopt(self, sections: list[LmnSection], readers: dict[str, LineReader]) -> None:
        """Runs `prepared` readers in place of those before, and ends what has no meter left."""
        groups = _by_port(sections)
        for port in [port for port in self._readers if port in readers or port not in groups]:
            await self._parts.drop(("lmn", port))
            del self._readers[port]
        self._groups = groups
        for port, reader in readers.items():
            self._readers[port] = reader
            self._parts.add(("lmn", port), reader.run())

    def ask(self, meter: str) -> None:
        """Somebody waits for this meter's next reading."""
        for reader in self._readers.values():
            reader.ask(meter)

    def last(self) -> dict[str, OriginalReading]:
        """The latest reading of each meter."""
        return {key: at for reader in self._readers.values() for key, at in reader.last.items()}


def _by_port(sections: list[LmnSection]) -> dict[str, Group]:
    groups: dict[str, Group] = {}
    for section in sections:
        groups.setdefault(section.port, []).append(section)
    return groups
