"""All benchmarks, one after the other: `make bench`.

    python tools/bench/run.py [--no-write]

Every script prints its section of docs/performance.md and the bars in it. One that misses a bar,
or cannot run, does not stop the others. Exit codes: 0 all bars hold, 1 one is missed, 3 none is
missed but something to measure with is missing.
"""

import subprocess
import sys
from pathlib import Path

HOME = Path(__file__).parent
SCRIPTS = ("modbus", "meter_server", "sml", "mbus", "record", "seal", "sessions", "proxy")
SCRIPTS += ("settle",)
MISSED, MISSING = 1, 3


def main(argv: list[str]) -> int:
    """Runs them with these arguments; returns the exit code."""
    codes = {}
    for name in SCRIPTS:
        script = HOME / f"{name}.py"
        if script.is_file():
            print(f"bench: {name}", file=sys.stderr, flush=True)
            codes[name] = subprocess.run([sys.executable, str(script), *argv]).returncode
    told = {0: "all bars hold", MISSING: "not measured"}
    for name, code in codes.items():
        print(f"bench: {name}: {told.get(code, 'a bar is missed')}", file=sys.stderr)
    if any(code not in told for code in codes.values()):
        return MISSED
    return max(codes.values())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
