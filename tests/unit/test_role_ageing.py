"""Sessions of GWA and EMT age by the clock of their bench, as the gateway's do."""

import pytest

from clsbench.clock import BenchClock
from clsbench.emt.config import EmtConfig
from clsbench.emt.service import EmtService
from clsbench.gwa.config import GwaConfig
from clsbench.gwa.service import GwaService
from clsbench.net.tls_policy import WAN_SESSION_H
from clsbench.pki.layout import Pki
from clsbench.roleconfig import load_config

SPEED = 200
GWA = '[gwa]\nname = "gwa-test"\nstate_dir = "state"\nclock = "{}"\n'
EMT = (
    '[emt]\nname = "flexmarkt"\nstate_dir = "state"\noperator_socket = "s"\nclock = "{}"\n'
    '[gwa]\nname = "gwa-test"\nservice_port = 1\n'
)


@pytest.mark.parametrize(
    ("text", "model", "service"), [(GWA, GwaConfig, GwaService), (EMT, EmtConfig, EmtService)]
)
async def test_a_wan_session_ends_after_48_hours_of_the_benchs_clock(
    tmp_path, text, model, service
):
    Pki.init(tmp_path / "pki", "ETST0010000001", "gwa-test", ["flexmarkt"], [])
    file = tmp_path / "role.toml"
    file.write_text(text.format(BenchClock(SPEED).spec()) + '[pki]\ndir = "pki"\n')
    role = service(load_config(file, model))
    contexts = (role._tls.server(), role._tls.client())
    assert {context.session_s for context in contexts} == {WAN_SESSION_H * 3600 / SPEED}
    await role.stop()
