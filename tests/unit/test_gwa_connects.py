"""The GWA's standing connects on disk."""

import pytest

from clsbench.errors import BadInput
from clsbench.gwa.connects import CLOSING, OPEN, StandingConnects

SMGW = "ETST0010000001"


def test_orders_are_there_again_after_a_restart(tmp_path):
    path = tmp_path / "connects.json"
    standing = StandingConnects(path)
    standing.set(SMGW, "flexmarkt", OPEN)
    standing.set(SMGW, "andere", OPEN)
    standing.set("ETST0010000002", "flexmarkt", OPEN)
    standing.set(SMGW, "andere", CLOSING)
    standing.drop("ETST0010000002", "flexmarkt")
    again = StandingConnects(path)
    assert again.of(SMGW) == [("flexmarkt", OPEN), ("andere", CLOSING)]
    assert again.of("ETST0010000002") == []
    assert again.state(SMGW, "flexmarkt") == OPEN
    assert again.state(SMGW, "nobody") is None


def test_a_write_that_was_cut_short_leaves_the_old_state(tmp_path):
    path = tmp_path / "connects.json"
    StandingConnects(path).set(SMGW, "flexmarkt", OPEN)
    path.with_suffix(".new").write_text('{"connects": [{"smgw')
    again = StandingConnects(path)
    assert again.of(SMGW) == [("flexmarkt", OPEN)]
    again.drop(SMGW, "flexmarkt")
    assert StandingConnects(path).of(SMGW) == []


@pytest.mark.parametrize("content", ["", "[]", '{"connects": [{"smgw_id": "x"}]}', "{}"])
def test_a_damaged_file_is_named_with_its_remedy(tmp_path, content):
    path = tmp_path / "connects.json"
    path.write_text(content)
    with pytest.raises(BadInput, match=r"connects\.json.*remove the file"):
        StandingConnects(path)
