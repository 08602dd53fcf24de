"""TLS contexts: suites and versions offered, files missing or wrong, what OpenSSL can do."""

import ssl
from pathlib import Path

import pytest

from clsbench.errors import BadInput
from clsbench.net.tls import Identity, han_server, tls_capabilities, wan_client, wan_server
from clsbench.pki.layout import Pki


def test_missing_or_wrong_files_are_named(pki: Pki, tmp_path: Path):
    with pytest.raises(BadInput, match="gone.pem: no such file"):
        wan_server(pki.gwa.tls, tmp_path / "gone.pem")
    with pytest.raises(BadInput, match="not a certificate with its unencrypted private key"):
        wan_server(Identity(pki.gwa.tls.cert, pki.smgw.tls.key), pki.wan_trust)
    empty = tmp_path / "empty.pem"
    empty.touch()
    with pytest.raises(BadInput, match="not a PEM file of trusted certificates"):
        wan_server(pki.gwa.tls, empty)


def test_contexts_offer_the_four_suites_and_nothing_else(pki: Pki):
    for context in (
        wan_client(pki.smgw.tls, pki.wan_trust),
        han_server(pki.smgw_han, pki.han_trust),
    ):
        offered = {s["name"] for s in context.get_ciphers() if s["protocol"] == "TLSv1.2"}
        assert offered == {
            "ECDHE-ECDSA-AES128-GCM-SHA256",
            "ECDHE-ECDSA-AES256-GCM-SHA384",
            "ECDHE-ECDSA-AES128-SHA256",
            "ECDHE-ECDSA-AES256-SHA384",
        }
        assert context.maximum_version == ssl.TLSVersion.TLSv1_2
        assert context.options & ssl.OP_NO_RENEGOTIATION and context.options & ssl.OP_NO_TICKET


def test_capabilities_come_from_a_real_handshake():
    found = tls_capabilities()
    assert found.openssl == ssl.OPENSSL_VERSION
    assert found.brainpool is (found.problem == "")
    assert found.cipher == ("ECDHE-ECDSA-AES128-GCM-SHA256" if found.brainpool else "")
