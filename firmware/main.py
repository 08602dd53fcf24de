"""Runs after boot.py: the DICAMM, until Ctrl-C or the bench asks for the REPL."""

import gc

gc.threshold(8192)  # collected while it loads, the code lies close and leaves the rest in one piece

from dicamm.app.main import run  # noqa: E402

gc.threshold(32768)
run()
