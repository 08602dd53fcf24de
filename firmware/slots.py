"""Which of two application slots runs, and the way back from one that fails its trial.

Slot 0 is what a cable puts on the board: /lib/dicamm and /board.mpy. Slot 1 lies in /b. What
stands in /slots decides: one line, written beside and renamed, so that a power cut leaves the old
line or the new one. No line: slot 0. This file, boot.py and main.py belong to no slot, and no
update over the link changes them. Knows nothing of what an update is made of.
"""

import binascii
import os
import sys

FOLDERS = ("", "/b")
MAX_STARTS = 2  # of a version on trial; a failure other than lost power leaves it one
WATCHDOG_MS = 8000

_FILE = "/slots"
_FRESH = "/slots.new"


class State:
    """good: slot of the version in force, version: its number (0: put on by cable). trial: number
    of the version in the other slot, 0 without one; starts: how often it was started. failed:
    number of the version that was taken back last, why: a word; told: its record is made."""

    def __init__(self):
        self.good = self.version = self.trial = self.starts = self.failed = self.told = 0
        self.why = "-"


def load():
    """The state; that of a board without /slots when the line is missing or damaged."""
    state = State()
    try:
        with open(_FILE) as file:
            line, _, check = file.read().strip().rpartition(" ")
        words = line.split()
        if check != _check(line) or len(words) != 7:
            return state
        numbers = [int(word) for word in words[:6]]
    except (OSError, ValueError):
        return state
    state.good, state.version, state.trial, state.starts, state.failed, state.told = numbers
    state.why = words[6]
    return state


def save(state):
    """Durable on return; a power cut inside leaves what was there."""
    line = "%d %d %d %d %d %d %s" % (
        state.good,
        state.version,
        state.trial,
        state.starts,
        state.failed,
        state.told,
        state.why,
    )
    with open(_FRESH, "w") as file:
        file.write(line + " " + _check(line) + "\n")
    os.rename(_FRESH, _FILE)


def running(state):
    """The slot that a start takes."""
    return 1 - state.good if state.trial else state.good


def enter():
    """Makes imports look into the slot that a start takes. Counts nothing: a REPL enters too."""
    own = FOLDERS[1]
    for path in (own, own + "/lib"):
        if path in sys.path:
            sys.path.remove(path)
    if running(load()):
        sys.path.insert(0, own + "/lib")
        sys.path.insert(0, own)


def start():
    """Before the application: counts the start of a version on trial, under a watchdog, or takes
    it back when it has had its starts."""
    state = load()
    if not state.trial:
        return
    import machine

    if state.starts >= MAX_STARTS:
        take_back(state, "power")
    elif state.starts and machine.reset_cause() == machine.WDT_RESET:
        take_back(state, "reset")
    else:
        state.starts += 1
        save(state)
        machine.WDT(timeout=WATCHDOG_MS)


def fallen():
    """The application could not start, or fell: a version on trial is taken back, by a restart."""
    state = load()
    if state.trial:
        take_back(state, "error")
        import machine

        machine.reset()


def take_back(state, why):
    """The version before is in force again from the next import on."""
    state.failed, state.why, state.told = state.trial, why, 0
    state.trial = state.starts = 0
    save(state)
    enter()


def accept(state):
    """The version on trial is in force."""
    state.good, state.version = 1 - state.good, state.trial
    state.trial = state.starts = state.failed = 0
    save(state)


def _check(line):
    return "%08x" % binascii.crc32(line.encode())
