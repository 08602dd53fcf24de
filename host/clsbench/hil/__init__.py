"""Boards for hardware-in-the-loop runs: a bench sees each through the same few methods."""
