"""What tests of every kind share: a test PKI with all the parties that any of them asks for."""

import pytest

from clsbench.pki.layout import DEFAULT_CLS, DEFAULT_EMT, Pki

EMTS = (DEFAULT_EMT, "andere")
CLS_IDS = (DEFAULT_CLS, "ETST0020000018", "ETST0020000099")


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    """A PKI of its own for each file."""
    return Pki.init(tmp_path_factory.mktemp("pki") / "pki", emt_names=EMTS, cls_ids=CLS_IDS)
