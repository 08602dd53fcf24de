# Runs first on every start. Nothing to prepare: the relay pin is safe by its wiring until the
# application drives it.
