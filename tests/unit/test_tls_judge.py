"""What a hello shows: read totally, and judged by a policy."""

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clsbench.net.tls_hello import (
    ClientHello,
    HelloUnreadable,
    client_hello,
    form_of,
    server_hello,
)
from clsbench.net.tls_judge import Rules, client_fault, why_client_failed
from clsbench.net.tls_names import named
from clsbench.net.tls_policy import WAN, session_s

RULES = Rules(WAN, False, WAN.groups)
# record, handshake type 1, TLS 1.2, random, no session, suite C02B, no compression, extensions:
# groups 23 and 26, server name "a.b"
HELLO = bytes.fromhex(
    "160301004e" "0100004a" "0303" + "11" * 32 + "00" "0002c02b" "0100" "001f"
    "000a0006" "0004" "0017001a" "00000008" "0006" "00" "0003" "612e62" "ff01000100" "00160000"
)  # fmt: skip


def hello(**changed) -> ClientHello:
    found = client_hello(HELLO)
    assert found is not None
    fields = {"versions": found.versions, "suites": found.suites,
              "compressions": found.compressions, "extensions": found.extensions}  # fmt: skip
    return ClientHello(**(fields | changed))


def test_hello_is_read_as_its_bytes_say():
    found = client_hello(HELLO)
    assert found is not None
    assert (found.versions, found.suites, found.compressions) == ((0x0303,), (0xC02B,), (0,))
    assert (found.groups, found.server_name, found.point_formats) == ((23, 26), "a.b", (0,))
    assert client_fault(found, RULES) is None and why_client_failed(found, RULES) == ""


def test_hello_in_any_pieces_is_whole_only_at_its_end():
    for cut in range(len(HELLO)):
        assert client_hello(HELLO[:cut]) is None
    body, halves = HELLO[5:], []
    for part in (body[:10], body[10:]):  # spread over two records
        halves.append(b"\x16\x03\x01" + len(part).to_bytes(2, "big") + part)
    assert client_hello(b"".join(halves)) == client_hello(HELLO)


def test_form_leaves_out_random_and_session_and_nothing_else():
    resumed = bytes.fromhex("160301006e0100006a0303" + "11" * 32 + "20" + "22" * 32)
    resumed += HELLO[44:]
    for whole, session in ((HELLO, 0), (resumed, 32)):
        form = form_of(whole)
        assert form and client_hello(whole) is not None
        for at in range(len(whole)):
            changed = bytearray(whole)
            changed[at] ^= 1
            hidden = 11 <= at < 43 or 44 <= at < 44 + session
            assert (form_of(bytes(changed)) == form) is hidden
    assert form_of(HELLO) != form_of(resumed)
    assert [form_of(HELLO[:cut]) for cut in range(len(HELLO))] == [b""] * len(HELLO)
    assert form_of(HELLO + HELLO) == b""


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=120), st.binary(max_size=40), st.integers(0, 44))
def test_hellos_of_one_form_are_judged_alike(noise: bytes, other: bytes, session: int):
    def made(random: bytes, name: bytes) -> bytes:
        body = b"\x03\x03" + random + bytes((session,)) + name + HELLO[44:] + noise
        message = b"\x01" + len(body).to_bytes(3, "big") + body
        return b"\x16\x03\x01" + len(message).to_bytes(2, "big") + message

    one = made(bytes(32), bytes(session))
    two = made((other + bytes(32))[:32], (other + bytes(44))[:session])
    assert form_of(one) == form_of(two) != b""
    assert client_hello(one) == client_hello(two)


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=120), st.integers(0, len(HELLO)))
def test_any_bytes_give_a_hello_nothing_or_unreadable(noise: bytes, keep: int):
    for read in (client_hello, server_hello):
        try:
            found = read(HELLO[:keep] + noise)
        except HelloUnreadable:
            continue
        if isinstance(found, ClientHello):
            client_fault(found, RULES)
            why_client_failed(found, RULES)


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"versions": (0x0302, 0x0301)}, "the client offers at most TLS 1.1"),
        (
            {"versions": (0x0304,), "extensions": {43: b"\x02\x03\x04"}},
            "the client offers TLS 1.3 alone",
        ),
        ({"versions": ()}, "the client offers none"),
        ({"suites": (0x002F, 0x00FF)}, "offers TLS_RSA_WITH_AES_128_CBC_SHA"),
        ({"compressions": (1,)}, "compression demanded: deflate"),
    ],
)
def test_reason_names_what_was_offered(changed: dict, reason: str):
    assert why_client_failed(hello(**changed), RULES).endswith(reason)


def test_server_name_is_compared_without_regard_to_case():
    wanting = Rules(WAN, False, WAN.groups, "A.B")
    assert client_fault(hello(), wanting) is None
    fault = client_fault(hello(extensions={}), wanting)
    assert fault is not None and fault.reason == "no server name stated (expected A.B)"


def test_many_offers_are_counted_and_grease_is_left_out():
    assert named((0x0A0A, 0xC02B), {0xC02B: "x"}) == "x"
    assert named(range(1, 10), {}).endswith("5 more")


def test_session_ends_by_the_clock_of_the_bench():
    assert session_s(WAN) == 48 * 3600 and session_s(WAN, 150) == 1152


def test_table_in_the_documentation_is_that_of_the_tests():
    tool = Path(__file__).resolve().parents[2] / "tools" / "tls_matrix.py"
    done = subprocess.run([sys.executable, tool], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
