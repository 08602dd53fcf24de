"""The open bench for smart-meter control boxes: SMGW, GWA, aEMT and meters around a DICAMM."""
