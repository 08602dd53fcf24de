"""What every receiver of device records does alike: links to its neighbours, and what it lacks.

Pure. Seals are for those who have the key; a hash link can be checked by anybody who holds the
record before or behind.
"""

from collections.abc import Sequence

from clsbench.device.records import link_of

MAX_RANGES = 8  # asked for at once
Run = tuple[int, int]  # first and last number, both included


def link_fault(
    seq: int,
    sealed: bytes,
    previous: bytes | None,
    before: bytes | None,
    after_previous: bytes | None,
) -> str:
    """Why a record does not fit between its neighbours, or "".

    previous: the link it states; before: the sealed record of the number before, after_previous:
    the link stated by the number behind; each None where it is not there or not known.
    """
    if previous is not None:
        if seq == 1 and previous != bytes(8):
            return f"record {seq} links to something before it"
        if before is not None and previous != link_of(before):
            return f"record {seq} does not link to record {seq - 1}, which is stored"
    if after_previous is not None and after_previous != link_of(sealed):
        return f"record {seq + 1}, which is stored, does not link to record {seq}"
    return ""


def acknowledged(runs: Sequence[Run], first: int) -> int:
    """Highest number up to which none is missing, counted from `first` on; first - 1 where
    `first` itself is. runs: what is stored, rising."""
    for begin, end in runs:
        if begin <= first <= end + 1:
            return end
    return first - 1


def missing(runs: Sequence[Run], first: int) -> list[Run]:
    """What is missing between `first` and the highest number stored: at most MAX_RANGES, rising.

    What was never sent behind the highest one is not missed.
    """
    gaps: list[Run] = []
    expected = first
    for begin, end in runs:
        if begin > expected:
            gaps.append((expected, begin - 1))
        if len(gaps) == MAX_RANGES:
            break
        expected = max(expected, end + 1)
    return gaps
