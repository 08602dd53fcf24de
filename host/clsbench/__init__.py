"""The open bench for smart-meter control boxes: emulated SMGW, GWA, aEMT and meters around a real DICAMM."""
