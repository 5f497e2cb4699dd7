"""A sample of the forged indexes, of every kind; `endurance.py` tries them all."""

from stress import endurance
from stress.forged import all_cases
from stress.forged.fuzzing import fuzz_manifests

from pokesim.maintenance.check import check_index


def test_there_are_many_and_each_has_a_name():
    cases = list(all_cases())
    assert len(cases) >= 1000
    assert len({(case.name, case.kind) for case in cases}) == len(cases)


def test_forged_indexes_do_no_harm_and_the_intact_ones_are_not_refused(tmp_path):
    endurance.forged(tmp_path, 20, print)
    for index in (tmp_path / "bases").iterdir():
        assert list(check_index(index))


def test_fuzzed_manifests_are_read_or_refused(index_path):
    assert fuzz_manifests(index_path, seconds=2, seed=1) > 100
