"""The stress tests of `endurance.py`, with smaller numbers."""

import os
import subprocess

import pytest
from stress import endurance


def test_killed_builds_resume_to_the_same_index(tmp_path):
    endurance.kills(tmp_path, 4, print)


def test_damage_of_any_file_is_detected(tmp_path):
    endurance.damage(tmp_path, 20, 5, print)


def test_fuzzed_pictures_are_indexed_or_skipped(tmp_path):
    endurance.fuzz(tmp_path, 250, print)


def test_an_update_embeds_only_changed_files(tmp_path):
    endurance.update(tmp_path, 300, 7, print)


def test_a_watched_folder_ends_in_the_index_of_a_fresh_build(tmp_path):
    endurance.churn(tmp_path, endurance.contents, 60, 0.04, print)


def test_readers_never_mix_two_snapshots(tmp_path):
    endurance.readers(tmp_path, 3, print, processes=4)


def test_a_server_survives_hostile_requests(tmp_path):
    endurance.storm(tmp_path, 40, print)


def test_filters_select_what_python_selects(tmp_path):
    endurance.fuzz_where(tmp_path, 3, print)


def test_damaged_tables_are_read_or_refused(tmp_path):
    endurance.fuzz_tables(tmp_path, 3, print)


def test_fuzzed_archives_are_unpacked_or_refused(tmp_path):
    endurance.fuzz_archives(tmp_path, 2, print)


def test_changed_forms_are_parsed_or_rejected():
    endurance.fuzz_multipart(1, print)


def test_a_full_disk_is_reported_in_one_line(tmp_path):
    probe = tmp_path / "probe"
    probe.mkdir()
    if (
        os.geteuid()
        or subprocess.run(["mount", "-t", "tmpfs", "tmpfs", probe], check=False).returncode
    ):
        pytest.skip("mounting a file system is not allowed here")
    subprocess.run(["umount", probe], check=True)
    endurance.disk(tmp_path, [0, 150_000], None, print)
