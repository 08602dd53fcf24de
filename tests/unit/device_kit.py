"""The device's tasks without a board: clock, meter, journal in memory, and a way to run them."""

from dicamm.app.log import Log
from dicamm.app.recorder import Recorder, link_of
from dicamm.metering.legal_time import LegalTime
from dicamm.metering.reading import taken
from dicamm.proto.cose import Mac0
from dicamm.store.journal import JournalFull

OBIS = bytes((1, 0, 1, 8, 0, 255))
KEY = bytes(range(32))
IDENTITY = ("ETST0020000017", "1EAS0012345678")
METER_TIMEOUT = 20


def run(coroutine):
    """The result of a coroutine that waits for nothing."""
    try:
        coroutine.send(None)
    except StopIteration as done:
        return done.value
    raise AssertionError("it waits for something")


class FakeClock:
    speed = 1

    def __init__(self):
        self.now_ms = 0

    def mono_ms(self):
        return self.now_ms

    def real_us(self):
        return self.now_ms * 1000


class FakeJournal:
    """Sealed records in a list, full where told."""

    capacity = 1000

    def __init__(self):
        self.records = []  # (kind, sealed)
        self.full = False

    @property
    def newest(self):
        return len(self.records)

    @property
    def oldest(self):
        return 1 if self.records else 0

    @property
    def unacknowledged(self):
        return 0

    def newest_sealed(self):
        return self.read(self.newest)

    def link(self):
        return link_of(self.records[-1][1])

    def room(self):
        return not self.full

    def kind(self, seq):
        return self.records[seq - 1][0] if 0 < seq <= self.newest else None

    def read(self, seq):
        return self.records[seq - 1][1] if 0 < seq <= self.newest else None

    def append(self, seq, kind, sealed):
        assert seq == self.newest + 1
        if self.full:
            raise JournalFull
        self.records.append((kind, sealed))


class FakeMeter:
    """Gives the time it is asked at as its register; `slow_ms` passes meanwhile."""

    def __init__(self, clock, legal_time):
        self._clock = clock
        self._time = legal_time
        self.silent = False
        self.slow_ms = 0
        self.healthy = True
        self.known = True
        self.error = 0
        self.reads = 0
        self.on_change = None

    def lose(self, lost=True):
        """What `app.meter_task` does when polls fail."""
        self.silent, self.healthy = lost, not lost
        self.error = METER_TIMEOUT if lost else 0
        self.on_change(not lost)

    async def read_event(self):
        self.reads += 1
        self._clock.now_ms += self.slow_ms
        if self.silent:
            return None, METER_TIMEOUT
        mono_ms = self._clock.now_ms
        return taken([(OBIS, mono_ms, 0, 30)], self._time, mono_ms), 0


class Started:
    """What one start of the device leaves in RAM; `journal` is what it finds."""

    def __init__(self, journal):
        self.journal = journal
        self.clock = FakeClock()
        self.time = LegalTime(50)
        self.log = Log(self.clock)
        self.meter = FakeMeter(self.clock, self.time)
        self.recorder = Recorder(journal, Mac0(KEY, b"ETST0020000017"), IDENTITY, self.time)

    def set_utc(self, utc_ms):
        """Legal time from now on."""
        self.time.learn(utc_ms, 0, self.clock.now_ms, self.clock.now_ms, True)

    def fields(self):
        """What the records say, oldest first."""
        return [self.recorder.fields(seq) for seq in range(1, self.journal.newest + 1)]
