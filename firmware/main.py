"""Runs after boot.py: the DICAMM, until Ctrl-C or the bench asks for the REPL."""

import gc

# collected while it loads, the code lies close and leaves the rest of the heap in one piece
gc.threshold(8192)

from dicamm.app.main import run  # noqa: E402

gc.threshold(32768)
run()
