"""Runs what is to be timed ahead of other work, where this machine lets us.

Real-time priority keeps other processes out of a measurement, not the machine's own delays.
"""

import functools
import os
import shutil

_PRIORITY = "10"


@functools.cache
def ahead() -> tuple[str, ...]:
    """What to put before a command so that nothing else delays it; () where that is forbidden."""
    if shutil.which("chrt") is None or not hasattr(os, "sched_setscheduler"):
        return ()
    try:
        mine = os.sched_getscheduler(0), os.sched_getparam(0)
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(int(_PRIORITY)))
        os.sched_setscheduler(0, *mine)
    except PermissionError:
        return ()
    return ("chrt", "-f", _PRIORITY)


def words() -> str:
    """How timings were taken, in half a sentence."""
    return "timed at real-time priority" if ahead() else "timed beside other work"
