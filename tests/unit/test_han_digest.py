"""HTTP Digest, lock-out and rate of the HAN, without any socket."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clsbench.smgw.core.parties import Ha1
from clsbench.smgw.han.digest import (
    MAX_NONCES,
    NONCE_S,
    Credentials,
    Nonces,
    challenge,
    ha1_of,
    read_authorization,
    strict_fault,
)
from clsbench.smgw.han.gate import LockOut, Rate

# RFC 7616 section 3.9.1, both algorithms
RFC = (
    'Digest username="Mufasa", realm="http-auth@example.org", uri="/dir/index.html", '
    'algorithm={}, nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", nc=00000001, '
    'cnonce="f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ", qop=auth, response="{}", '
    'opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"'
)
MD5 = RFC.format("MD5", "8ca523f5e9506fed4657c9700eebdbec")
SHA256 = RFC.format("SHA-256", "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1")

REALM = "http-auth@example.org"
KNOWN = ha1_of("Mufasa", REALM, "Circle of Life")


class Clock:
    def __init__(self):
        self.now_s = 1000.0

    def __call__(self):
        return self.now_s


@pytest.mark.parametrize("header", [MD5, SHA256])
def test_the_examples_of_the_rfc_prove_the_password(header):
    read = read_authorization(header)
    assert read is not None
    assert read.proves(KNOWN, "GET")
    assert not read.proves(ha1_of("Mufasa", REALM, "Circle of Live"), "GET")
    assert not read.proves(ha1_of("Mufasa", "another realm", "Circle of Life"), "GET")
    assert not read.proves(KNOWN, "POST")


def test_a_hash_that_is_not_kept_proves_nothing():
    md5, sha256 = read_authorization(MD5), read_authorization(SHA256)
    assert md5 is not None and sha256 is not None
    assert not md5.proves(Ha1(KNOWN.sha256), "GET") and sha256.proves(Ha1(KNOWN.sha256), "GET")
    assert not sha256.proves(Ha1(md5=KNOWN.md5), "GET")


def test_md5_without_a_stated_algorithm_proves_too():
    read = read_authorization(MD5.replace("algorithm=MD5, ", ""))
    assert read is not None and read.algorithm == "" and read.proves(KNOWN, "GET")


@pytest.mark.parametrize(
    ("header", "target", "named"),
    [
        (MD5, "/dir/index.html", "SHA-256"),
        (SHA256, "/dir/index.html?q.count=1", "uri"),
        (SHA256.replace("qop=auth, ", ""), "/dir/index.html", "qop"),
    ],
)
def test_the_strict_rules_name_what_breaks_them(header, target, named):
    read = read_authorization(header)
    assert read is not None and named in (strict_fault(read, target) or "")


def test_a_quoted_qop_is_read_like_a_plain_one():
    read = read_authorization(SHA256.replace("qop=auth", 'qop="auth"'))
    assert read is not None and strict_fault(read, "/dir/index.html") is None


@pytest.mark.parametrize(
    "header",
    [
        "",
        "Basic YTpi",
        "Digest",
        "Digest username",
        'Digest username="a", username="b"',
        'Digest username="a" realm="b"',
        SHA256.replace("nonce=", "nonse="),
        SHA256 + ", x=" + "y" * 3000,
        'Digest username="unfinished',
    ],
)
def test_a_damaged_header_is_no_credentials(header):
    assert read_authorization(header) is None


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=300))
def test_any_header_is_credentials_or_none(text):
    for header in (text, f"Digest {text}"):
        read = read_authorization(header)
        assert read is None or not read.proves(KNOWN, "GET")


def test_a_challenge_says_what_clients_look_for():
    told = challenge("etst0010000001", "abc")
    assert told == 'Digest realm="etst0010000001", qop="auth", algorithm=SHA-256, nonce="abc"'
    assert challenge("r", "n", stale=True).endswith(", stale=true")


def test_a_nonce_is_fresh_for_its_time_and_only_ours_is():
    clock = Clock()
    nonces, others = Nonces(clock), Nonces(clock)
    nonce = nonces.new()
    assert nonces.fresh(nonce) and not others.fresh(nonce)
    assert not nonces.fresh("0" * 60) and not nonces.fresh("") and not nonces.fresh(nonce[:-1])
    clock.now_s += NONCE_S + 1
    assert not nonces.fresh(nonce)


def test_a_count_is_good_once_whatever_the_order():
    nonces = Nonces(Clock())
    nonce = nonces.new()
    for number in (1, 3, 2, 9, 5):
        assert nonces.count("me", nonce, f"{number:08x}")
        assert not nonces.count("me", nonce, f"{number:08x}")
    assert not nonces.count("me", nonce, "x") and not nonces.count("me", nonce, "")


def test_uses_forgotten_for_room_can_never_be_repeated():
    clock = Clock()
    nonces = Nonces(clock)
    first = nonces.new()
    assert nonces.count("me", first, "00000001")
    for _ in range(MAX_NONCES):
        clock.now_s += 0.01
        assert nonces.count("me", nonces.new(), "00000001")
    assert not nonces.count("me", first, "00000001")
    assert nonces.count("other", first, "00000001")


def test_wrong_passwords_lock_for_a_while_and_only_that_log_in_at_that_address():
    clock = Clock()
    lock = LockOut(3, 60, clock)
    assert [lock.wrong("a", "me") for _ in range(3)] == [False, False, True]
    assert lock.locked_s("a", "me") == 60
    assert lock.locked_s("b", "me") == 0 and lock.locked_s("a", "you") == 0
    clock.now_s += 61
    assert lock.locked_s("a", "me") == 0 and not lock.wrong("a", "me")


def test_a_right_password_and_time_both_forget_wrong_ones():
    clock = Clock()
    lock = LockOut(2, 60, clock)
    assert not lock.wrong("a", "me")
    lock.right("a", "me")
    assert not lock.wrong("a", "me")
    clock.now_s += 601
    assert not lock.wrong("a", "me")


def test_a_rate_refills_by_time_and_is_everybodys_own():
    clock = Clock()
    rate = Rate(60, clock)
    assert [rate.wait_s("me") for _ in range(60)] == [0.0] * 60
    assert 0 < rate.wait_s("me") <= 1 and rate.wait_s("you") == 0
    clock.now_s += 2
    assert [rate.wait_s("me") > 0 for _ in range(3)] == [False, False, True]


def test_credentials_of_an_unknown_algorithm_prove_nothing():
    assert not Credentials("u", "r", "n", "/", "0" * 32, "SHA-1").proves(KNOWN, "GET")
