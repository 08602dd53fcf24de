"""How far records were acknowledged, or announced: everything up to a number, less a few.

Knows numbers only. Bounded: at most LIMIT gaps are remembered, more lower the number.
"""

LIMIT = 32


class Marks:
    """`to`: the highest number marked; `missing`: those below it that are not, rising."""

    def __init__(self):
        self.to = 0
        self.missing = []

    @property
    def floor(self):
        """Everything up to here is marked: what goes to flash."""
        return self.missing[0] - 1 if self.missing else self.to

    def has(self, seq):
        """Whether seq is marked."""
        return seq <= self.to and seq not in self.missing

    def all_to(self, seq, missing=()):
        """Marks every number up to seq, less `missing` (numbers, in any order)."""
        left = [gap for gap in self.missing if gap > seq or gap in missing]
        for gap in sorted(missing):
            if self.to < gap <= seq:
                left.append(gap)
        self.to = max(self.to, seq)
        self._keep(left)

    def one(self, seq, before):
        """Marks seq alone; before: numbers between `to` and seq that are to be marked one day."""
        if seq in self.missing:
            self.missing.remove(seq)
        elif seq > self.to:
            self.to = seq
            self._keep(self.missing + before)

    def begin_at(self, seq):
        """Forgets what is below seq: it is no longer in the journal."""
        self.missing = [gap for gap in self.missing if gap >= seq]
        self.to = max(self.to, seq - 1)

    def open_between(self, first, behind):
        """How many numbers from first to behind - 1 are not marked."""
        gaps = sum(1 for gap in self.missing if first <= gap < behind)
        return gaps + max(0, behind - max(first, self.to + 1))

    def _keep(self, missing):
        if len(missing) > LIMIT:
            self.to = missing[LIMIT] - 1
            missing = missing[:LIMIT]
        self.missing = missing
