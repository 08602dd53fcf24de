"""TLS contexts: suites and versions offered, files missing or wrong, what OpenSSL can do."""

import ssl
from pathlib import Path

import pytest
from tls_kit import best_suite

from clsbench.errors import BadInput
from clsbench.net.tls import Identity, han_server, wan_client, wan_server
from clsbench.net.tls_probe import tls_capabilities
from clsbench.pki.layout import Pki

SUITES_OF_12 = {
    "ECDHE-ECDSA-AES128-GCM-SHA256",
    "ECDHE-ECDSA-AES256-GCM-SHA384",
    "ECDHE-ECDSA-AES128-SHA256",
    "ECDHE-ECDSA-AES256-SHA384",
}
SUITES_OF_13 = {"TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_AES_128_CCM_SHA256"}


def test_missing_or_wrong_files_are_named(pki: Pki, tmp_path: Path):
    with pytest.raises(BadInput, match="gone.pem: no such file"):
        wan_server(pki.gwa.tls, tmp_path / "gone.pem")
    with pytest.raises(BadInput, match="not a certificate with its unencrypted private key"):
        wan_server(Identity(pki.gwa.tls.cert, pki.smgw.tls.key), pki.wan_trust)
    empty = tmp_path / "empty.pem"
    empty.touch()
    with pytest.raises(BadInput, match="not a PEM file of trusted certificates"):
        wan_server(pki.gwa.tls, empty)


def test_contexts_offer_the_suites_of_the_rules_and_nothing_else(pki: Pki):
    for context, versions in (
        (wan_client(pki.smgw.tls, pki.wan_trust), tls_capabilities().versions["WAN"]),
        (han_server(pki.smgw_han, pki.han_trust), tls_capabilities().versions["HAN secp256r1"]),
    ):
        offered = {(s["protocol"], s["name"]) for s in context.get_ciphers()}
        expected = {("TLSv1.2", name) for name in SUITES_OF_12}
        if "TLS 1.3" in versions:
            expected |= {("TLSv1.3", name) for name in SUITES_OF_13}
            assert context.maximum_version == ssl.TLSVersion.TLSv1_3
        else:
            # suites of TLS 1.3 are listed all the same; the version shuts them out
            offered = {each for each in offered if each[0] == "TLSv1.2"}
            assert context.maximum_version == ssl.TLSVersion.TLSv1_2
        assert offered == expected
        assert context.minimum_version == ssl.TLSVersion.TLSv1_2
        assert context.options & ssl.OP_NO_RENEGOTIATION and context.options & ssl.OP_NO_TICKET
        assert context.options & ssl.OP_NO_COMPRESSION


def test_capabilities_come_from_a_real_handshake():
    found = tls_capabilities()
    assert found.openssl == ssl.OPENSSL_VERSION
    assert found.brainpool is (found.problem == "")
    assert found.cipher == (best_suite() if found.brainpool else "")
