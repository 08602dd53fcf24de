"""Runs the tests of one file inside MicroPython: dual_runner.py FIRMWARE_DIR TEST_FILE

The part of `tools/run_dual.py` that runs on the other side, in the MicroPython subset. Prints one
line `PASS file::test` or `FAIL file::test` per test function, the traceback of a failure to
stderr, and `DONE file` when it got to the end. Exit code 1 on any failure.
"""

import gc
import sys


def main(firmware, path):
    folder, _, file = path.rpartition("/")
    sys.path.insert(0, firmware)
    sys.path.insert(0, folder or ".")
    name = file[: -len(".py")]
    try:
        module = __import__(name)
    except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever it is, it is reported
        sys.print_exception(error, sys.stderr)  # pyright: ignore[reportAttributeAccessIssue]
        print(f"FAIL {file}::import")
        return 1
    failures = 0
    for test in sorted(dir(module)):
        if test.startswith("test_"):
            failures += not run(file, test, getattr(module, test))
    print(f"DONE {file}")
    return 1 if failures else 0


def run(file, name, test):
    """Runs one test function in a tidy heap; whether it passed."""
    gc.collect()
    try:
        test()
    except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever it is, it is reported
        sys.print_exception(error, sys.stderr)  # pyright: ignore[reportAttributeAccessIssue]
        print(f"FAIL {file}::{name}")
        return False
    print(f"PASS {file}::{name}")
    return True


sys.exit(main(sys.argv[1], sys.argv[2]))
