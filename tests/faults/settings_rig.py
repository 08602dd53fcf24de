"""Cuts the power at every byte of what the settings store writes, and again while it mends.

For MicroPython and CPython.
"""

from nor_model import ERASE, MODES, PAGE, PREFIX, PROGRAM, SECTOR, NorModel, PowerCut, Rng
from rig import Findings

from dicamm.store.settings_store import SettingsStore


class SettingsRig:
    """Puts new values again and again; after each cut either the old or the new ones stand."""

    def __init__(self, seed, step=1):
        self.findings = Findings()
        self._rng = Rng(seed)
        self._step = step
        self._old = {}
        self._new = {}
        self._flash = NorModel(2, seed)
        self._flash.before = self._before
        self._store = SettingsStore(self._flash)

    def put(self):
        """One put, cut everywhere."""
        changed = {"limit_w": self._rng.below(5000), "key": self._rng.bytes(32)}
        changed["name%d" % self._rng.below(4)] = "x" * self._rng.below(300)
        self._old = values_of(self._store)
        self._new = dict(self._old)
        self._new.update(changed)
        self._store.put(changed)
        if values_of(self._store) != self._new:
            self.findings.fail("lost", "values right after put")

    def _before(self, flash, operation, address, data):
        size = SECTOR if operation == ERASE else PAGE
        for byte in range(0, size, self._step):
            if operation == PROGRAM and data[byte] == 0xFF:
                continue
            mode = PREFIX if byte % 4 else MODES[byte // 4 % len(MODES)]
            self.findings.cuts += 1
            number = self.findings.cuts
            torn = flash.copy(number)
            torn.tear(operation, address, data, byte, mode)
            self._check(torn, number)

    def _check(self, torn, number):
        """Starts again and again, the power failing while it mends; then for good."""
        rng = Rng(number)
        for _ in range(rng.below(3)):
            failing(torn, rng)
            self.findings.cuts += not started(torn)
            torn.before = None
        self.findings.starts += 3
        first = values_of(SettingsStore(torn))
        if first not in (self._old, self._new):
            self.findings.fail("torn", "cut %d" % number)
        for _ in range(2):
            if values_of(SettingsStore(torn)) != first:
                self.findings.fail("lost", "cut %d: values changed with a start" % number)


def started(flash):
    """Whether a start came to its end."""
    try:
        SettingsStore(flash)
        return True
    except PowerCut:
        return False


def failing(flash, rng):
    """Lets the power fail somewhere in what is written next."""
    left = [1 + rng.below(SECTOR + 600)]

    def before(model, operation, address, data):
        size = SECTOR if operation == ERASE else PAGE
        if left[0] > size:
            left[0] -= size
            return
        model.tear(operation, address, data, left[0] - 1, MODES[rng.below(len(MODES))])
        raise PowerCut

    flash.before = before


def values_of(store):
    """Everything in the store."""
    return {name: store.get(name) for name in store.names()}
