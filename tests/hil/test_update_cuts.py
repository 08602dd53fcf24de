"""Updates whose supply is cut anywhere, an erase of the flash included."""

import random

import pytest

from clsbench.hil.update_campaign import TRIAL_S, UpdateCampaign

UPDATES = 5


@pytest.mark.long
@pytest.mark.needs("virtual_time", "power_cut")
def test_a_cut_at_any_instant_of_an_update_leaves_a_whole_version_and_every_record(
    bench, board, tmp_path
):
    bench.empty_ring()
    bench.configure(trial_s=TRIAL_S)
    course = UpdateCampaign(bench, board, tmp_path, random.Random(8)).run(UPDATES, print)
    bench.configure()
    assert course.findings == [] and course.updates == UPDATES == sum(course.ends.values())
    assert course.cuts >= UPDATES - 1  # one may end before its cut
    assert course.records > 4 * UPDATES
