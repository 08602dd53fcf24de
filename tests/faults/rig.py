"""The torture rig: cuts the power inside every program and erase of a journal at work.

`Promise` is what the journal owes, kept by looking at what was appended and at which sector was
erased, not by asking the journal. `Rig` runs a workload, stops before each program and erase,
tears a copy of the flash at byte after byte, starts the real journal on each and compares.
For MicroPython and CPython.
"""

from nor_model import (
    BARELY,
    ERASE,
    PAGE,
    PREFIX,
    PROGRAM,
    SCATTER,
    SECTOR,
    WEAK,
    ZEROS,
    NorModel,
    Rng,
)
from workload import Records

from dicamm.store.journal import Journal, JournalFull

OTHERS_EVERY = 16  # bytes between two cuts that tear a whole page or sector at once
SAMPLE = 5  # after the second start every so many-th record is compared, and the newest


class Promise:
    """records: number -> (kind, sealed) of what was appended. must: numbers that have to be
    there; may: those in a sector whose erase has begun. flight: (number, kind, sealed) of an
    append that has not returned, or None."""

    def __init__(self):
        self.records = {}
        self.where = {}
        self.must = set()
        self.may = set()
        self.newest = 0
        self.flight = None
        self.acknowledged = 0  # as told to the journal
        self.acknowledged_durable = 0  # as it has to be after any start
        self.announced = 0
        self.announced_durable = 0

    def begin(self, seq, kind, sealed):
        """An append is called."""
        self.flight = (seq, kind, sealed)

    def done(self):
        """It returned."""
        seq, kind, sealed = self.flight
        self.flight = None
        self.records[seq] = (kind, sealed)
        self.must.add(seq)
        self.newest = seq
        self.where[seq] = self._touched

    def programs(self, address):
        """A page is programmed: where the record in flight is, if there is one."""
        self._touched = address // SECTOR

    def erases(self, sector):
        """A sector begins to be erased: what is in it may go, if it may."""
        for seq in list(self.must):
            if self.where[seq] == sector:
                kind = self.records[seq][0]
                assert kind == 7 or seq <= self.acknowledged, "evidence erased"
                self.must.remove(seq)
                self.may.add(seq)

    def erased(self, sector):
        """The erase has ended."""
        for seq in list(self.may):
            if self.where[seq] == sector:
                self.may.remove(seq)
                del self.records[seq]
                del self.where[seq]

    def compare_records(self, journal, looked_at, findings, label):
        """Those of `must` that are looked at are there and whole; those that may be are whole."""
        for seq in looked_at:
            kind, sealed = self.records[seq]
            found = journal.read(seq)
            if found is None or journal.kind(seq) != kind:
                findings.fail("lost", "%s: record %d" % (label, seq))
            elif found != sealed:
                findings.fail("torn", "%s: record %d" % (label, seq))
        for seq in self.may:
            found = journal.read(seq)
            if found is not None and found != self.records[seq][1]:
                findings.fail("torn", "%s: record %d" % (label, seq))

    def compare_acknowledged(self, journal, findings, label):
        """The journal has forgotten no acknowledgement, and made none up."""
        floor = journal.acknowledged_to
        highest = max(self.acknowledged, journal.oldest - 1)  # what gave way counts as done
        if not self.acknowledged_durable <= floor <= highest:
            findings.fail("lost", "%s: acknowledged to %d" % (label, floor))


class Findings:
    """What a run has seen, and the bars: all but `cuts`, `starts` and `given` stay zero."""

    NAMES = ("cuts", "program_cuts", "erase_cuts", "starts", "lost", "torn", "reused", "stuck")

    def __init__(self):
        for name in self.NAMES:
            setattr(self, name, 0)
        self.accepted = 0  # records whose append never returned, found whole
        self.burnt = 0  # numbers given to such a record, that is not whole
        self.first = ""  # the first failure, as text

    def fail(self, name, text):
        """Counts a failure."""
        setattr(self, name, getattr(self, name) + 1)
        if not self.first:
            self.first = name + ": " + text

    def add(self, other, label):
        """Takes in the findings of another run."""
        for name in self.NAMES + ("accepted", "burnt"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        if other.first and not self.first:
            self.first = label + other.first

    @property
    def failures(self):
        """All of them."""
        return self.lost + self.torn + self.reused + self.stuck


class Checker:
    """Starts the journal on a torn flash and compares it with the promise. records: for the
    record appended after the start."""

    def __init__(self, findings, records):
        self.findings = findings
        self._records = records
        self._spare = (0, None, None)  # (number, previous, record): made once per operation

    def check(self, flash, promise, label):
        """One start, everything compared, one append, another start."""
        findings = self.findings
        findings.starts += 2
        journal = Journal(flash)
        flight = promise.flight
        newest = journal.newest
        self._compare(journal, promise, label)
        previous = None
        if newest == promise.newest:
            if newest:
                previous = promise.records[newest][1] if newest in promise.records else None
        elif flight and newest == flight[0]:
            previous = self._accepted(journal, promise, label)
        elif newest < promise.newest:
            findings.fail("reused", "%s: newest %d of %d" % (label, newest, promise.newest))
        else:
            findings.fail("lost", "%s: newest %d of %d" % (label, newest, promise.newest))
        kept = journal.read(newest) if newest else None
        kind, sealed = self._next(newest + 1, previous)
        try:
            journal.append(newest + 1, kind, sealed)
        except JournalFull:
            if journal.free or not self._evidence_stands(journal, promise):
                findings.fail("stuck", label + ": full")
            return
        again = Journal(flash)
        if again.newest != newest + 1 or again.read(newest + 1) != sealed:
            findings.fail("lost", label + ": the record appended after the start")
        if newest and again.oldest <= newest and again.read(newest) != kept:
            findings.fail("lost", "%s: %d changed with a second start" % (label, newest))
        self._compare(again, promise, label + ", second start", again.oldest)

    def _evidence_stands(self, journal, promise):
        """Whether a TAF16 record that nobody acknowledged stands where the ring would go on."""
        for seq in promise.must:
            if seq > journal.acknowledged_to and promise.records[seq][0] == 16:
                return True
        return False

    def _next(self, seq, previous):
        if self._spare[0] != seq or self._spare[1] is not previous:
            self._spare = (seq, previous, self._records.make(seq, 16, previous, "after the cut"))
        return self._spare[2]

    def _accepted(self, journal, promise, label):
        """The number in flight was given: its record is whole, or was never whole."""
        seq, _, sealed = promise.flight
        found = journal.read(seq)
        if found is None:
            self.findings.burnt += 1
        elif found != sealed:
            self.findings.fail("torn", "%s: record %d" % (label, seq))
        else:
            self.findings.accepted += 1
        return found

    def _compare(self, journal, promise, label, oldest=0):
        findings = self.findings
        looked_at = promise.must
        if oldest:  # a sample, without what gave way to the append after the start
            late = promise.newest - 2
            looked_at = [n for n in looked_at if n >= oldest and (n % SAMPLE == 0 or n >= late)]
        promise.compare_records(journal, looked_at, findings, label)
        if oldest:
            return
        promise.compare_acknowledged(journal, findings, label)
        if promise.must and not journal.oldest <= min(promise.must):
            findings.fail("lost", "%s: oldest %d" % (label, journal.oldest))


class Rig:
    """Runs a journal on a ring of `sectors`, cutting at every byte, or every `step`-th.

    stride: only every so many-th operation is cut, beginning with number `first`.
    """

    def __init__(self, sectors, seed, step=1, stride=1, first=0):
        self.findings = Findings()
        self.promise = Promise()
        self.rng = Rng(seed)
        self.records = Records(self.rng)
        self.flash = NorModel(sectors, seed)
        self._checker = Checker(self.findings, Records(Rng(seed + 1)))
        self._step = step
        self._stride = stride
        self._operations = first
        self.flash.before = self._before
        self.journal = Journal(self.flash)
        self.appended = 0
        self.full = 0
        self.offline = 0  # things yet to be done before anyone acknowledges again

    @property
    def wraps(self):
        """How often the ring came round: erases of the least erased sector."""
        return min(self.flash.erases)

    # -- workload

    def append(self, kind, sealed=None):
        """One record more."""
        seq = self.promise.newest + 1
        previous = self.promise.records.get(seq - 1)
        if sealed is None:
            kind, sealed = self.records.make(seq, kind, previous[1] if previous else None)
        self.promise.begin(seq, kind, sealed)
        try:
            self.journal.append(seq, kind, sealed)
        except JournalFull:
            self.promise.flight = None
            self.full += 1
            return False
        self.promise.done()
        self._marks_durable()
        self.appended += 1
        return True

    def acknowledge(self, behind=0):
        """Acknowledges all but the newest `behind` records."""
        seq = max(self.promise.newest - behind, self.promise.acknowledged)
        self.promise.acknowledged = seq
        self.journal.acknowledge(seq)

    def announce(self):
        """Announces the oldest that is not announced."""
        seq = self.journal.unannounced()
        if seq:
            self.promise.announced = seq
            self.journal.announced(seq)

    def flush(self):
        """Puts the marks on flash."""
        if self.journal.flush():
            self.promise.acknowledged_durable = self.promise.acknowledged

    def erase_ahead(self):
        """Erases the next sector, when it may go."""
        self.journal.erase_ahead()

    def step(self):
        """One thing that a device does, by chance: mostly a record."""
        chance = self.rng.below(100)
        self.offline = max(0, self.offline - 1)
        if self.offline and 68 <= chance < 92:
            chance = 0
        if chance < 32:
            self.append(7)
        elif chance < 66:
            self.append(16)
        elif chance < 68:
            size = (40, 200, 243, 245, 300, 480)[self.rng.below(6)]
            self.append(*self.records.strange(size))
        elif chance < 80:
            self.acknowledge(self.rng.below(6))
        elif chance < 90:
            self.announce()
        elif chance < 92:
            self.flush()
        else:
            self.erase_ahead()

    def _marks_durable(self):
        # what a slot carries reaches 254 numbers back
        if self.promise.newest - 1 - self.promise.acknowledged < 255:
            self.promise.acknowledged_durable = self.promise.acknowledged

    # -- cuts

    def _before(self, flash, operation, address, data):
        promise = self.promise
        if operation == ERASE:
            self._finish_erase()
            promise.erases(address // SECTOR)
            self._erasing = address // SECTOR
        else:
            self._finish_erase()
            promise.programs(address)
        self._operations += 1
        if self._operations % self._stride == 0:
            self._cut(flash, operation, address, data)

    _erasing = None

    def _finish_erase(self):
        if self._erasing is not None:
            self.promise.erased(self._erasing)
            self._erasing = None

    def _cut(self, flash, operation, address, data):
        size = PAGE if operation == PROGRAM else SECTOR
        for byte in range(0, size, self._step):
            if operation == PROGRAM and data[byte] == 0xFF:
                continue  # nothing is done there: the same as the cut before
            self._one_cut(flash, operation, address, data, byte, PREFIX)
            if byte % OTHERS_EVERY == 0:
                for mode in (SCATTER, WEAK, BARELY):
                    self._one_cut(flash, operation, address, data, byte, mode)
                if operation == ERASE:
                    self._one_cut(flash, operation, address, data, byte, ZEROS)

    def _one_cut(self, flash, operation, address, data, byte, mode):
        findings = self.findings
        findings.cuts += 1
        if operation == PROGRAM:
            findings.program_cuts += 1
        else:
            findings.erase_cuts += 1
        torn = flash.copy(findings.cuts)
        torn.tear(operation, address, data, byte, mode)
        label = "%s at %d, byte %d, mode %d" % (
            "program" if operation == PROGRAM else "erase",
            address,
            byte,
            mode,
        )
        self._checker.check(torn, self.promise, label)
