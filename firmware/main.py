"""Runs after boot.py: the DICAMM, until Ctrl-C or the bench asks for the REPL."""

import gc

import slots

# collected while it loads, the code lies close and leaves the rest of the heap in one piece
gc.threshold(8192)
slots.start()
ended = False
try:
    from dicamm.app.main import run

    gc.threshold(32768)
    ended = run()
finally:
    if not ended:
        slots.fallen()
