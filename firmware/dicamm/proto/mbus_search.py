"""Search for the slaves of an M-Bus by secondary address (EN 13757-3, chapter 12, wildcards).

Knows which address to try next, no frames and no time. Slaves whose address fits all answer at
once; where that garbles the line, one more digit is set, 0 to 9.
"""

MAX_ATTEMPTS = 5000  # enough for 250 slaves whose addresses share half their digits

MAX_AMBIGUOUS = 32

_DIGITS = 8
_ANY = 0xF

# what an attempt gave
NOBODY = 0
ONE = 1
SEVERAL = 2


class SecondarySearch:
    """Use: while next() returns an address, select it, ask the selected slave for data, and
    tell the outcome by told().

    found: secondary addresses (8 bytes as the slaves send them), in the order found.
    ambiguous: identifications of eight digits that several slaves have: they differ in
    manufacturer, version or medium only, or answer with nothing that can be understood;
    the first MAX_AMBIGUOUS.
    attempts: selections so far; complete: the search got to its end before MAX_ATTEMPTS.
    """

    def __init__(self):
        self.found = []
        self.ambiguous = []
        self.attempts = 0
        self.complete = False
        self._digits = []  # set digits, most significant first; the last is being tried
        self._begun = False

    def next(self):
        """The next address to select, or None: the search is over."""
        if not self._begun:
            self._begun = True
        elif not self._digits:
            self.complete = True
            return None
        if self.attempts == MAX_ATTEMPTS:
            return None
        self.attempts += 1
        return self._address()

    def told(self, outcome, address=None):
        """outcome: NOBODY, ONE (address: the secondary address that its data told) or SEVERAL."""
        if outcome == SEVERAL and len(self._digits) < _DIGITS:
            self._digits.append(0)
            return
        if outcome == SEVERAL and len(self.ambiguous) < MAX_AMBIGUOUS:
            self.ambiguous.append(self._address()[:4])
        elif outcome == ONE and address is not None and address not in self.found:
            self.found.append(bytes(address))
        while self._digits and self._digits[-1] == 9:
            self._digits.pop()
        if self._digits:
            self._digits[-1] += 1

    def _address(self):
        digits = self._digits + [_ANY] * (_DIGITS - len(self._digits))
        identification = [digits[at] << 4 | digits[at + 1] for at in (6, 4, 2, 0)]
        return bytes(identification) + b"\xff\xff\xff\xff"
