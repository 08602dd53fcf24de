"""Runs after boot.py: the DICAMM, until Ctrl-C or the bench asks for the REPL."""

from dicamm.app.main import run

run()
