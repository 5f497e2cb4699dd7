"""Worker processes on this machine embed instead of the one that builds; the index is the same."""

import os
import subprocess
import sys

import numpy as np
import psutil
import pytest

import pokesim


def test_two_processes_build_the_same_index_on_loopback_only(samples, index_path, tmp_path):
    command = [sys.executable, "-m", "pokesim", "build-index", samples.images]
    command += ["--embedder", "compact", "--index", tmp_path / "i"]
    command += ["--workers", "2", "--batch-size", "8"]
    build = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    listening = set()
    while build.poll() is None:
        try:
            family = [psutil.Process(build.pid)]
            family += family[0].children(recursive=True)
            sockets = [one for process in family for one in process.net_connections("inet")]
        except psutil.NoSuchProcess:
            continue
        listening |= {one.laddr.ip for one in sockets if one.status == psutil.CONN_LISTEN}
    assert "Indexed 151 pictures, skipped 0" in build.communicate()[0]
    assert listening == {"127.0.0.1"}
    with pokesim.open_index(index_path) as local, pokesim.open_index(tmp_path / "i") as both:
        assert [(one.path, one.sha256) for one in both.items] == [
            (one.path, one.sha256) for one in local.items
        ]
        ids = np.arange(151)
        np.testing.assert_allclose(both.vectors(ids), local.vectors(ids), rtol=0, atol=1e-6)


def test_without_dask_the_error_names_the_extra(run, tmp_path):
    (tmp_path / "distributed.py").write_text("raise ImportError")
    done = run("build-index", "--workers", "2", PYTHONPATH=os.fspath(tmp_path))
    error = "dask.distributed is not installed; install it with `pip install 'pokesim[dask]'`."
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.splitlines()[-1] == f"pokesim: {error}"


@pytest.mark.parametrize("workers", ["0", "two", "-1", "tcp://here", "tcp://here:now"])
def test_invalid_workers_are_a_usage_error(run, workers):
    done = run("build-index", "--workers", workers)
    assert (done.returncode, done.stdout) == (2, "")
    assert f"or as a scheduler's address such as tcp://HOST:8786, not {workers}." in done.stderr
