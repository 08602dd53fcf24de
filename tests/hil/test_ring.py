"""A ring full of evidence that nobody has fetched: refused is the next begin, lost is nothing."""

import uuid as uuidlib

import pytest

from clsbench.device.records import check_chain
from dicamm import codes

pytestmark = pytest.mark.needs("records")

SAMPLE = 40  # records looked at on either end


def test_a_full_ring_refuses_a_begin_and_takes_it_once_records_were_fetched(bench):
    bench.fill_ring()
    full = bench.link.status()["journal"]
    code, _seq, _words = bench.link.command("begin", uuidlib.uuid4().bytes)
    assert code == codes.JOURNAL_FULL and not bench.relay_closed
    held = bench.link.status()["journal"]
    assert (held["oldest"], held["lost"], held["dropped"]) == (full["oldest"], 0, 0)
    assert held["unacknowledged"] >= full["unacknowledged"] >= full["capacity"]
    newest = bench.records(held["newest"] - SAMPLE)
    assert check_chain(newest) == [] and newest[-1].seq == held["newest"]
    bench.link.acknowledge(held["oldest"] + held["unacknowledged"] // 2)
    bench.transaction()
    bench.mark()
