"""What `clsbench verify` finds in device records that bear a signature (COSE_Sign1, ES256)."""

import cbor2
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from verify_kit import DEVICE, Folder, chain, found

from clsbench.device.provision import public_key_file, sign_key
from clsbench.errors import BadInput

KEY = ec.derive_private_key(0x1234567, ec.SECP256R1())
OTHER = ec.derive_private_key(0x7654321, ec.SECP256R1())


def signed(sealed: bytes, key=KEY) -> bytes:
    """Written out after RFC 9052 section 4.4."""
    protected = bytes.fromhex("a10126")
    covered = cbor2.dumps(["Signature1", protected, b"", sealed])
    r, s = decode_dss_signature(key.sign(covered, ec.ECDSA(hashes.SHA256())))
    raw = r.to_bytes(32, "big") + s.to_bytes(32, "big")
    return cbor2.dumps(cbor2.CBORTag(18, [protected, {4: DEVICE}, sealed, raw]), canonical=True)


def pem(key) -> bytes:
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


@pytest.fixture
def folder(tmp_path):
    made = Folder(tmp_path)
    made.write([signed(sealed) for sealed in chain(5)])
    (tmp_path / "a.pem").write_bytes(pem(KEY))
    (tmp_path / "b.pem").write_bytes(pem(OTHER))
    made.signer, made.other = (["--sign-key", str(tmp_path / name)] for name in ("a.pem", "b.pem"))
    return made


def test_signatures_seals_and_chain_hold(folder):
    document = folder.run(*folder.other, *folder.signer, code=0)
    assert all(each["detail"].endswith(", signed") for each in document["files"])
    assert document["series"][0]["records"] == 5


def test_without_a_key_it_is_told_that_signatures_were_not_checked(folder):
    document = folder.run(code=0)
    assert all(each["detail"].endswith("signature not checked") for each in document["files"])


def test_an_altered_signature_is_found_by_its_record(folder):
    folder.change(3, lambda data: data[:-1] + bytes([data[-1] ^ 1]))
    one = found(folder.run(*folder.signer, code=1), "signature")
    assert one["seq"] == 3 and "altered, or another key" in one["text"]


def test_a_signature_of_another_key_and_a_record_without_one_are_found(folder):
    folder.change(2, lambda _: signed(chain(2)[1], OTHER))
    folder.change(4, lambda _: chain(4)[3])
    document = folder.run(*folder.signer, code=1)
    kinds = {(each["kind"], each["seq"]) for each in document["found"]}
    assert kinds == {("signature", 2), ("signature", 4)}
    assert "bears no signature" in document["findings"][1]


@pytest.mark.parametrize("cut", [1, 40, 63, 64, 120])
def test_signed_records_in_a_row_are_read_and_a_cut_one_is_told_once(folder, cut):
    for path in folder.records.iterdir():
        path.unlink()
    row = folder.records / "row.cbor"
    whole = b"".join(signed(sealed) for sealed in chain(5))
    row.write_bytes(whole)
    assert folder.run(*folder.signer, code=0)["series"][0]["records"] == 5
    row.write_bytes(whole[:-cut])
    assert len(found(folder.run(*folder.signer, "--running", code=1), "truncated")["text"]) > 20


def test_behind_a_broken_signed_record_the_next_ones_are_read(folder):
    for path in folder.records.iterdir():
        path.unlink()
    parts = [signed(sealed) for sealed in chain(5)]
    parts[1] = parts[1][:-66] + b"\xff" + parts[1][-65:]  # the head of its signature's bytes
    (folder.records / "row.cbor").write_bytes(b"".join(parts))
    document = folder.run(*folder.signer, code=1)
    assert document["series"][0]["records"] == 4
    assert found(document, "unreadable")["offset"] == len(parts[0])
    assert found(document, "gap")["seq"] == 3


def test_the_public_key_lies_beside_the_private_one_and_no_other_file_is_taken(folder):
    key_file = folder.path / "device.key"
    secret = int.from_bytes(sign_key(key_file), "big")
    mine = ec.derive_private_key(secret, ec.SECP256R1())
    assert public_key_file(key_file).name == "device.sign.pub.pem"
    assert public_key_file(key_file).read_bytes() == pem(mine)
    (folder.path / "p384.pem").write_bytes(pem(ec.generate_private_key(ec.SECP384R1())))
    for name in ("device.sign.key", "p384.pem", "none.pem"):
        with pytest.raises((BadInput, AssertionError), match=name):
            folder.run("--sign-key", str(folder.path / name), code=0)
