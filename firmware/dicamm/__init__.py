"""DICAMM firmware: reads the MID meter, switches the load, seals a record of every switching."""

VERSION = "0.1.0"
