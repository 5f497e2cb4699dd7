"""Power cuts and failing system calls while an index is written; the short part of both tiers."""

import os
import shutil

import pytest
from stress.disk_model import Node, Recording
from stress.faults import SHORT, faults
from stress.powercut import power_cuts


@pytest.fixture(autouse=True)
def _strace():
    if not shutil.which("strace"):
        missing = "strace is missing; run `apt-get install strace`."
        if os.environ.get("POKESIM_STRACE") == "required":
            pytest.fail(missing)
        pytest.skip(missing)


@pytest.mark.parametrize("operations", [("build", "add"), ("tune", "remove"), ("rebuild", "pull")])
def test_a_power_cut_leaves_the_old_or_the_new_index(tmp_path, operations):
    power_cuts(tmp_path, print, operations=operations, seeds=1)


@pytest.mark.parametrize("operation", ["rebuild", "tune", "remove"])
def test_a_failing_system_call_is_one_sentence_and_loses_nothing(tmp_path, operation):
    faults(tmp_path, [one for one in SHORT if one.operation == operation], print)


def test_the_model_loses_what_was_not_flushed(tmp_path):
    recording = Recording(tmp_path, {"old": b"1"})
    recording.root.get("old").content.append((0, b"22"))
    recording.root.names["new"] = [(-1, None), (1, Node(False, content=[(1, b"3")]))]
    recording.end = 2

    def states(**options):
        return [tuple(sorted(one.items())) for one in recording.states(2, **options)]

    assert (("old", b"1"),) in states()
    assert (("new", b"3"), ("old", b"\0\0")) in states()
    recording.root.flushed.append(2)
    recording.end = 3
    assert all("new" in dict(state) for state in map(dict, recording.states(3)))
    assert not all("new" in dict(state) for state in recording.states(3, without=2))
