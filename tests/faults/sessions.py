"""Long lives by chance: starts, work, power cuts, again and again on the same flash.

What one cut leaves unstable is still there at the next; every write is exposed to cuts, also those
that a start makes to mend what the last one left. For MicroPython and CPython.
"""

from nor_model import ERASE, MODES, PAGE, PROGRAM, SECTOR, ZEROS, NorModel, PowerCut, Rng
from rig import Findings, Promise
from workload import Records

from dicamm.store.journal import Journal, JournalFull


class Life:
    """One flash of `sectors` sectors and everything that was promised on it."""

    def __init__(self, sectors, seed):
        self.rng = Rng(seed)
        self.findings = Findings()
        self.promise = Promise()
        self.appended = 0
        self.sessions = 0
        self.full = 0
        self._records = Records(self.rng)
        self._flash = NorModel(sectors, seed + 7)
        self._flash.before = self._before
        self.offline = False  # nobody acknowledges
        self._left = None  # bytes until the supply fails
        self._flights = []  # appends that did not return, since the newest record
        self._passed_over = []  # numbers given to records that were never whole
        self._journal = None

    @property
    def wraps(self):
        """Erases of the least erased sector."""
        return min(self._flash.erases)

    def session(self, things):
        """One start and up to so many things done; the power fails some time."""
        self.sessions += 1
        if not self.rng.below(30):
            self.offline = not self.offline
        self._left = 1 + self.rng.below((40, 400, 4000, 20000)[self.rng.below(4)])
        try:
            self._journal = Journal(self._flash)
            self.findings.starts += 1
            self._compare()
            for _ in range(things):
                self._thing()
        except PowerCut:
            self.findings.cuts += 1

    # -- what the device does

    def _thing(self):
        chance = self.rng.below(100)
        promise = self.promise
        if chance < 60:
            self._append(7 if chance < 28 else 16)
        elif chance < 75 and not self.offline:
            behind = self.rng.below(4)
            promise.acknowledged = max(promise.acknowledged, promise.newest - behind)
            self._journal.acknowledge(promise.newest - behind)
        elif chance < 80:
            self._journal.flush()
        elif chance < 85:
            self._journal.settle()
        elif chance < 90:
            self._journal.announced(self._journal.unannounced() or 1)
        else:
            self._journal.erase_ahead()

    def _append(self, kind):
        promise = self.promise
        journal = self._journal
        seq = journal.newest + 1
        previous = journal.newest_sealed()
        if self.rng.below(25):
            kind, sealed = self._records.make(seq, kind, previous)
        else:
            kind, sealed = self._records.strange((30, 220, 260, 500)[self.rng.below(4)])
        promise.begin(seq, kind, sealed)
        self._flights.append(promise.flight)
        try:
            journal.append(seq, kind, sealed)
        except JournalFull:
            self._flights.pop()
            promise.flight = None
            self.full += 1
            return
        self._passed_over.extend(range(promise.newest + 1, seq))
        promise.done()
        self._flights = []
        self.appended += 1

    # -- the supply

    def _before(self, flash, operation, address, data):
        promise = self.promise
        if operation == PROGRAM:
            promise.programs(address)
            size = PAGE
        else:
            promise.erases(address // SECTOR)
            size = SECTOR
        if self._left > size:
            self._left -= size
            if operation == ERASE:
                promise.erased(address // SECTOR)
            return
        byte = self._left - 1
        mode = MODES[self.rng.below(4)]
        if operation == ERASE and not self.rng.below(4):
            mode = ZEROS
        flash.tear(operation, address, data, byte, mode)
        raise PowerCut

    # -- what has to be true after a start

    def _compare(self):
        promise = self.promise
        journal = self._journal
        findings = self.findings
        label = "session %d" % self.sessions
        if journal.newest == promise.newest + 1 and self._flights:
            self._take_flight(journal, label)
        elif journal.newest < promise.newest:
            findings.fail("reused", "%s: newest %d" % (label, journal.newest))
        elif journal.newest > promise.newest:
            findings.fail("lost", "%s: newest %d" % (label, journal.newest))
        promise.compare_records(journal, promise.must, findings, label)
        for seq in self._passed_over:
            if journal.read(seq) is not None:
                findings.fail("torn", "%s: %d came back" % (label, seq))
        promise.compare_acknowledged(journal, findings, label)
        promise.acknowledged_durable = journal.acknowledged_to

    def _take_flight(self, journal, label):
        promise = self.promise
        seq = journal.newest
        found = journal.read(seq)
        if found is None:
            self.findings.burnt += 1
            return
        for flight in self._flights:
            if flight[2] == found:
                self.findings.accepted += 1
                promise.flight = flight
                promise.done()
                break
        else:
            self.findings.fail("torn", "%s: record %d" % (label, seq))
        self._flights = []
