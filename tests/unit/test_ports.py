"""A port that somebody else holds: waited for as long as one lets go in ending, then told."""

import asyncio
import fcntl
import os
import threading

import pytest

from clsbench.device import ports
from clsbench.errors import EnvironmentProblem

BAUD = 115200


@pytest.fixture
def pty():
    board, end = os.openpty()
    yield os.ttyname(end)
    os.close(board)
    os.close(end)


@pytest.fixture
def other(pty):
    """Another program that has the port."""
    fd = os.open(pty, os.O_RDWR | os.O_NOCTTY)
    fcntl.flock(fd, fcntl.LOCK_EX)
    yield fd
    os.close(fd)


async def streams(port):
    _, writer = await ports.open_port(port, BAUD)
    await ports.close_port(writer)


def ways(port):
    yield lambda: asyncio.run(streams(port))
    yield lambda: ports.open_serial(port, BAUD, 0.1).close()


def test_a_port_that_is_let_go_is_opened(pty, other):
    for way in ways(pty):
        fcntl.flock(other, fcntl.LOCK_EX)
        ending = threading.Timer(0.15, fcntl.flock, (other, fcntl.LOCK_UN))
        ending.start()
        way()
        ending.join()


def test_a_port_that_is_held_is_told_with_who_may_hold_it(pty, other, monkeypatch):
    monkeypatch.setattr(ports, "PATIENCE_S", 0.1)
    for way in ways(pty):
        with pytest.raises(EnvironmentProblem, match="Another program holds it"):
            way()


def test_a_link_that_was_closed_has_let_go(pty):
    for _ in range(20):
        for way in ways(pty):
            way()
