# Runs first on every start. The relay pin is safe by its wiring until the application drives it;
# here only imports are turned to the application slot that is in force.
import slots

slots.enter()
