"""One run of the torture rigs, in whichever interpreter this is: prints one JSON line.

    torture_run.py ring PART PARTS STEP SEED   every PARTS-th operation from PART on, cut at every
                                               STEP-th byte, till a ring of 3 came round 3 times
    torture_run.py lives SEED LIVES SESSIONS   rings of 3 to 5 sectors, cut by chance, for long
    torture_run.py settings SEED STEP PUTS     the settings store

sys.path has firmware/ and tests/faults/, the caller sees to that.
"""

import json
import sys

from rig import Findings, Rig
from sessions import Life
from settings_rig import SettingsRig

ROUNDS = 3  # times the ring has to come round, after it was filled
OFFLINE = 110  # things done while nobody acknowledges: the ring fills up with evidence


def ring(part, parts, step, seed):
    """Cuts a workload until the ring has come round often enough."""
    rig = Rig(3, seed, step, parts, part)
    while rig.wraps <= ROUNDS:
        if rig.wraps == 2 and not rig.full:
            rig.offline = OFFLINE
        rig.step()
    result = figures(rig.findings)
    result["wraps"] = rig.wraps - 1
    result["records"] = rig.appended
    result["full"] = rig.full
    return result


def lives(seed, count, sessions):
    """Lives of rings, each with cuts at random."""
    total = Findings()
    result = {"wraps": 0, "records": 0, "full": 0}
    for number in range(seed, seed + count):
        life = Life(3 + number % 3, number)
        for _ in range(sessions):
            life.session(30)
        total.add(life.findings, "seed %d: " % number)
        result["wraps"] += life.wraps
        result["records"] += life.appended
        result["full"] += life.full
    result.update(figures(total))
    return result


def settings(seed, step, puts):
    """Puts of the settings store, each cut everywhere."""
    rig = SettingsRig(seed, step)
    for _ in range(puts):
        rig.put()
    result = figures(rig.findings)
    result.update({"wraps": 0, "records": puts, "full": 0})
    return result


def figures(findings):
    """Findings as a dict."""
    names = Findings.NAMES + ("accepted", "burnt", "failures", "first")
    return {name: getattr(findings, name) for name in names}


RUNS = {"ring": ring, "lives": lives, "settings": settings}

if __name__ == "__main__":
    numbers = [int(text) for text in sys.argv[2:]]
    print(json.dumps(RUNS[sys.argv[1]](*numbers)))
