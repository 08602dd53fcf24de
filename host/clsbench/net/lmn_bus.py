"""Addresses on the wired LMN's HDLC bus (BSI Detailspezifikationen 2.0, chapter 8)."""

GATEWAY = (1, 1)  # the primary station
FIRST_STATION, LAST_STATION = 3, 126


def station(address: int) -> tuple[int, int]:
    """The HDLC address of a participant, FIRST_STATION to LAST_STATION."""
    return (address, 1)
