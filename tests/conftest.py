"""What tests of every kind share: a test PKI with all the parties that any of
them asks for, and places for a gateway's state."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from postgres_kit import Server, lacking, server

from clsbench.pki.layout import DEFAULT_CLS, DEFAULT_EMT, Pki

pytest_plugins = ("clsbench.hil.plugin",)

# the same examples in each run, however slow or busy the machine is;
# other ones: pytest --hypothesis-profile default
settings.register_profile(
    "same-everywhere",
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("same-everywhere")

EMTS = (DEFAULT_EMT, "andere")
CLS_IDS = (DEFAULT_CLS, "ETST0020000018", "ETST0020000099")


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    """A PKI of its own for each file."""
    return Pki.init(tmp_path_factory.mktemp("pki") / "pki", emt_names=EMTS, cls_ids=CLS_IDS)


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    """A PostgreSQL server of this test process; its password is in the environment."""
    reason = lacking()
    if reason:
        pytest.skip(reason)
    with server() as running, pytest.MonkeyPatch.context() as patch:
        patch.setenv("PGPASSWORD", running.password)
        yield running


@pytest.fixture(params=["sqlite", "postgresql"])
def state(request: pytest.FixtureRequest, tmp_path: Path) -> Path | str:
    """An empty place for a gateway's state, of either kind."""
    if request.param == "sqlite":
        return tmp_path
    return request.getfixturevalue("postgres").new_state()
