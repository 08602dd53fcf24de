"""The gateway's pure core: no clock, no sockets, no files."""
