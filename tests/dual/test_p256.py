"""P-256 signatures: vectors of RFC 6979, the group at its edges, and what is refused."""

from dicamm.proto import cbor, p256
from dicamm.proto.cose_sign1 import Sign1

# RFC 6979 A.2.5, with SHA-256
KEY = 0xC9AFA9D845BA75166B5C215767B1D6934E50C3DB36E89B127B8A622B120F6721
X = 0x60FED4BA255A9D31C961EB74C6356D68C049B8923B61FA6CE669622E60F29FB6
Y = 0x7903FE1008B8BC99A41AE9E95628BC64F2F1B20C2D7E9F5177A3C294D4462299
SAMPLE = (
    "efd48b2aacb6a8fd1140dd9cd45e81d69d2c877b56aaf991c34d0ea84eaf3716"
    "f7cb1c942d657c41d436c7a1b6e29f65f3e900dbb9aff4064dc4ab2f843acda8"
)
TEST = (
    "f1abb023518351cd71d881567b1ea663ed3efcf6c5132b354f28d3b0b7d38367"
    "019f4113742a2b14bd25926b49c649155f267e60d3814b4c0cc84250e46f0083"
)
G = (
    0x6B17D1F2E12C4247F8BCE6E563A440F277037D812DEB33A0F4A13945D898C296,
    0x4FE342E2FE1A7F9B8EE7EB4A7C0F9E162BCE33576B315ECECBB6406837BF51F5,
)


def on_curve(point):
    x, y = point
    b = 0x5AC635D8AA3A93E7B3EBBD55769886BC651D06B0CC53B0F63BCE3C3E27D2604B
    return (y * y - x * x * x + 3 * x - b) % p256.P == 0


def test_the_signatures_of_rfc_6979():
    assert p256.sign(KEY, b"sample") == bytes.fromhex(SAMPLE)
    assert p256.sign(KEY, b"test") == bytes.fromhex(TEST)


def test_the_public_key_of_rfc_6979():
    assert p256.multiply(KEY) == (X, Y)


def test_multiples_at_the_edges_of_the_comb():
    assert p256.multiply(1) == G
    assert p256.multiply(p256.N - 1) == (G[0], p256.P - G[1])
    for power in (1, 42, 43, 44, 85, 86, 129, 172, 215, 255):
        assert on_curve(p256.multiply(1 << power)), power
        x, y = p256.multiply(p256.N - (1 << power))
        assert (x, p256.P - y) == p256.multiply(1 << power)


def test_every_constant_of_the_comb_is_on_the_curve():
    for m in range(1, 64):
        factor = 0
        for tooth in range(6):
            if m >> tooth & 1:
                factor += 1 << 43 * tooth
        if factor < p256.N:
            assert on_curve(p256.multiply(factor)), m


def test_sums_of_multiples_are_multiples_of_sums():
    one = p256.multiply(3)
    two = p256.multiply(p256.N - 3)
    assert one[0] == two[0] and one[1] + two[1] == p256.P


def test_an_inverse_times_its_number_is_one():
    for number in (1, 2, 3, KEY, p256.N - 1, p256.P - 2):
        for modulus in (p256.N, p256.P):
            assert p256.inverse(number, modulus) * number % modulus == 1


def test_what_is_no_private_key_is_refused():
    for secret in (0, p256.N, p256.N + 5, -1):
        try:
            p256.sign(secret, b"")
        except ValueError:
            continue
        raise AssertionError(secret)
    for secret in (bytes(32), b"\xff" * 32, b"\x01" * 31, b""):
        try:
            Sign1(secret, b"x")
        except ValueError:
            continue
        raise AssertionError(secret)


def test_a_signed_record_is_a_tagged_cose_sign1():
    made = Sign1(KEY.to_bytes(32, "big"), b"ETST0020000017").sign(b"\xd1payload")
    tag = cbor.decode(made, (18,))
    protected, unprotected, payload, signature = tag.value
    assert tag.number == 18
    assert (protected, unprotected) == (b"\xa1\x01\x26", {4: b"ETST0020000017"})
    assert payload == b"\xd1payload" and len(signature) == 64
    covered = cbor.encode(["Signature1", protected, b"", payload])
    assert signature == p256.sign(KEY, covered)
