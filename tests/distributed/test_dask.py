"""Workers of a real dask scheduler build the same index as this machine alone."""

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from distributed import Client

import pokesim
from pokesim.distributed import dispatch

PRELOAD = Path(__file__).with_name("preload.py")
DASK = [sys.executable, "-m", "dask"]
LOOPBACK = ("--host", "127.0.0.1", "--dashboard-address", "127.0.0.1:0")


@contextlib.contextmanager
def process(*command, **options):
    """Run a command in the background; kill it and its children at the end."""
    started = subprocess.Popen(
        list(map(str, command)),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        **options,
    )
    try:
        yield started
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(started.pid, signal.SIGKILL)
        started.wait()


@contextlib.contextmanager
def scheduler(home, **env):
    """Start a scheduler; give its address and its process."""
    file = home / "scheduler.json"
    options = ("--port", "0", "--scheduler-file", file)
    command = (*DASK, "scheduler", *LOOPBACK, *options)
    with process(*command, cwd=home, env=os.environ | env) as started:
        while True:
            with contextlib.suppress(FileNotFoundError, json.JSONDecodeError):
                address = json.loads(file.read_text())["address"]
                break
            time.sleep(0.05)
        yield address, started


def worker(address, home, *options, **env):
    """Start one worker, with the nanny that restarts it."""
    home.mkdir(exist_ok=True)
    command = (*DASK, "worker", address, *LOOPBACK, "--nthreads", "1", *options)
    command = (*command, "--local-directory", home, "--preload", PRELOAD)
    return process(*command, cwd=home, env=os.environ | env)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    """The address of a scheduler with two workers, which have a cache of their own."""
    home = tmp_path_factory.mktemp("cluster")
    own = {"POKESIM_CACHE": str(home / "cache")}
    with (
        scheduler(home) as (address, _),
        worker(address, home / "a", **own),
        worker(address, home / "b", **own),
        Client(address, set_as_default=False) as client,
    ):
        client.wait_for_workers(2)
        yield address


@pytest.fixture(scope="module")
def folder(samples, tmp_path_factory):
    """Different pictures; two files that cannot be read, and one name that is not UTF-8."""
    home = tmp_path_factory.mktemp("pictures")
    (home / "below").mkdir()
    for number in range(3):
        for picture in samples.images.iterdir():
            copy = home / ("below" if number else "") / f"{picture.stem}-{number}.png"
            copy.write_bytes(picture.read_bytes() + bytes([number]))
    picture = next(samples.images.iterdir()).read_bytes()
    (home / os.fsdecode(b"n\xe4me.png")).write_bytes(picture)
    (home / "cut.png").write_bytes(picture[:500])
    (home / "empty.jpg").write_bytes(b"")
    (home / "words.txt").write_text("words")
    for path in home.rglob("*"):
        os.utime(path, (1e9, 1e9))
    return home


@pytest.fixture(scope="module")
def local(folder, tmp_path_factory):
    """The contents of the index that this machine builds alone."""
    index = tmp_path_factory.mktemp("local") / "index"
    pokesim.build_index(folder, index, embedder="compact")
    return contents(index)


def contents(index):
    """The items, without their times, and the skipped files; and the vectors."""
    with pokesim.open_index(index) as opened:
        items = [(one.id, one.path, one.label, one.size, one.sha256) for one in opened.items]
        return (items, opened.manifest.skipped), opened.vectors(np.arange(len(opened)))


def assert_same(one, other):
    assert one[0] == other[0]
    np.testing.assert_allclose(one[1], other[1], rtol=0, atol=1e-6)


def command(folder, index, address, *options):
    build = [sys.executable, "-m", "pokesim", "build-index", folder, "--index", index]
    return [*map(str, build), "--embedder", "compact", "--workers", address, *options]


@contextlib.contextmanager
def begun(folder, index, address):
    """Start a build, and give it when it has embedded some pictures, but far from all."""
    build = subprocess.Popen(
        command(folder, index, address, "--batch-size", "2"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    rows = index / ".unfinished" / "vectors.f32"
    chunk = 8 * 4 * 256  # bytes; only when the next is written, the first is sure to be kept
    while not (rows.exists() and rows.stat().st_size > chunk):
        assert build.poll() is None, build.communicate()
        time.sleep(0.01)
    assert rows.stat().st_size < 200 * 4 * 256
    with build:
        yield build


def worker_pids(address):
    with Client(address, set_as_default=False) as client:
        return list(client.run(os.getpid).values())


def test_the_index_is_the_same_as_a_local_build(run, cluster, folder, local, tmp_path):
    done = run(*command(folder, tmp_path / "i", cluster)[3:])
    assert done.returncode == 0, done.stderr
    assert "Indexed 454 pictures, skipped 2" in done.stdout
    assert_same(contents(tmp_path / "i"), local)


def test_an_update_embeds_only_new_pictures(run, cluster, folder, samples, tmp_path):
    pictures, index = tmp_path / "pictures", tmp_path / "i"
    shutil.copytree(folder, pictures)
    run(*command(pictures, index, cluster)[3:])
    moved = sorted(pictures.glob("*.png"))[:40]
    for path in moved:
        path.rename(pictures / "below" / f"moved-{path.name}")
    new = sorted(samples.photos.iterdir())[:3]
    for path in new:
        shutil.copy2(path, pictures)
    done = run(*command(pictures, index, cluster)[3:])
    assert ": 3 new, " in done.stdout
    pokesim.build_index(pictures, tmp_path / "again", embedder="compact")
    assert_same(contents(index), contents(tmp_path / "again"))
    pictures.rename(tmp_path / "elsewhere")
    done = run(*command(tmp_path / "elsewhere", index, cluster)[3:])
    assert ": 0 new, " in done.stdout


def test_a_killed_worker_does_not_change_the_index(cluster, folder, local, tmp_path):
    with begun(folder, tmp_path / "i", cluster) as build:
        os.kill(worker_pids(cluster)[0], signal.SIGKILL)
        out, error = build.communicate(timeout=100)
    assert build.returncode == 0, error
    assert ": 454 new, " in out
    assert_same(contents(tmp_path / "i"), local)


def test_a_picture_that_kills_its_worker_is_skipped(run, cluster, folder, local, tmp_path):
    pictures = tmp_path / "pictures"
    shutil.copytree(folder, pictures)
    shutil.copy2(pictures / "below" / "brumbel-1.png", pictures / "poison.png")
    done = run(*command(pictures, tmp_path / "i", cluster, "--batch-size", "8")[3:])
    assert done.returncode == 0, done.stderr
    assert "One of 32 files kills its workers; looking for it." in done.stderr
    assert "skipped poison.png: 4 workers died while reading it" in done.stderr
    (items, skipped), vectors = contents(tmp_path / "i")
    rest = tuple(one for one in skipped if one.path != "poison.png")
    assert_same(((items, rest), vectors), local)


def test_a_local_build_continues_after_ctrl_c(run, cluster, folder, local, tmp_path):
    with begun(folder, tmp_path / "i", cluster) as build:
        build.send_signal(signal.SIGINT)
        _, error = build.communicate(timeout=60)
    assert (build.returncode, error.count("\n")) == (130, 1)
    assert "of 457 pictures are embedded. Run the same command again to resume." in error
    done = run("build-index", folder, "--index", tmp_path / "i", "--embedder", "compact")
    assert "Resuming an interrupted build" in done.stderr
    assert_same(contents(tmp_path / "i"), local)


def test_a_lost_scheduler_is_an_error_of_one_line(run, folder, local, tmp_path):
    with (
        scheduler(tmp_path) as (address, started),
        worker(address, tmp_path / "w"),
        begun(folder, tmp_path / "i", address) as build,
    ):
        os.killpg(started.pid, signal.SIGKILL)
        _, error = build.communicate(timeout=100)
    assert (build.returncode, error.count("\n")) == (1, 1)
    assert "The connection to the dask scheduler is lost; what is embedded is kept" in error
    done = run("build-index", folder, "--index", tmp_path / "i", "--embedder", "compact")
    assert "Resuming an interrupted build" in done.stderr
    assert_same(contents(tmp_path / "i"), local)


def test_a_build_ends_if_there_is_no_worker_for_long(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(dispatch, "NO_WORKER_SECONDS", 1)
    with (
        scheduler(tmp_path) as (address, _),
        worker(address, tmp_path / "w", "--no-nanny") as only,
        pokesim.open_workers(address) as workers,
    ):

        def end(done, total):
            if done:
                only.kill()

        with pytest.raises(pokesim.PokesimError, match="There has been no worker for 1 s"):
            pokesim.build_index(
                folder, tmp_path / "i", embedder="compact", batch_size=8,
                workers=workers, progress=end,
            )  # fmt: skip


def test_a_build_ends_if_every_file_kills_its_workers(samples, tmp_path, monkeypatch):
    monkeypatch.setattr(dispatch, "MAX_KILLERS", 2)
    (tmp_path / "pictures").mkdir()
    for number in range(4):
        shutil.copy(samples.images / "brumbel.webp", tmp_path / "pictures" / f"poison{number}.webp")
    env = {"DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": "0"}
    with (
        scheduler(tmp_path, **env) as (address, _),
        worker(address, tmp_path / "w"),
        pokesim.open_workers(address) as workers,
        pytest.raises(
            pokesim.PokesimError, match="Every file kills its workers, most recently poison1"
        ),
    ):
        pokesim.build_index(
            tmp_path / "pictures", tmp_path / "i", embedder="compact", workers=workers
        )


def test_an_error_on_a_worker_is_one_line(run, cluster, samples, tmp_path):
    (tmp_path / "pictures").mkdir()
    shutil.copy(samples.images / "brumbel.webp", tmp_path / "pictures" / "raises.webp")
    done = run(*command(tmp_path / "pictures", tmp_path / "i", cluster)[3:])
    assert_error(done, "failed (LookupError: raises.webp).")


def test_a_model_is_sent_to_workers_that_lack_it(run, cluster, seeded_weights, samples, tmp_path):
    pictures, home = tmp_path / "pictures", tmp_path / "elsewhere"
    pictures.mkdir()
    for path in sorted(samples.images.iterdir())[:40]:
        shutil.copy(path, pictures)
    options = ("--embedder", "mobilenet_v2", "--weights", seeded_weights("MobileNetV2"))
    build = ("build-index", pictures, *options, "--index")
    run(*build, "alone")
    done = run(*build, "sent", "--workers", cluster)
    assert "Sending the model of mobilenet_v2 to the workers." in done.stderr
    assert "Sending" not in run(*build, "sent", "--rebuild", "--workers", cluster).stderr
    assert_same(contents(tmp_path / "sent"), contents(tmp_path / "alone"))
    with scheduler(tmp_path) as (address, _), worker(address, home, POKESIM_CACHE="/dev/null"):
        done = run(*build, "other", "--workers", address)
    assert_error(done, "cannot embed: The cache /dev/null/models cannot be written (Not a ", 2)


def test_the_default_embedder_is_sent_to_workers_that_lack_its_part(
    run, general, cluster, samples, tmp_path
):
    build = ("build-index", samples.photos, "--index")
    run(*build, "alone")
    done = run(*build, "sent", "--workers", cluster)
    assert "with general in" in done.stdout, done.stderr
    assert "Sending the model of efficientnet_lite0 to the workers." in done.stderr
    assert "compact" not in done.stderr
    assert "Sending" not in run(*build, "sent", "--rebuild", "--workers", cluster).stderr
    assert_same(contents(tmp_path / "sent"), contents(tmp_path / "alone"))


def test_an_unusable_cluster_is_an_error_of_one_line(run, samples, tmp_path, monkeypatch):
    for place in (tmp_path, tmp_path / "w", tmp_path / "old"):  # working folders
        (place / "pictures").mkdir(parents=True)
    shutil.copy(samples.images / "brumbel.webp", tmp_path / "pictures")
    # Each process sees its own working folder at this path, as each machine sees its own disk.
    build = command("/proc/self/cwd/pictures", tmp_path / "i", "")[3:-1]
    with scheduler(tmp_path) as (address, _):
        assert_error(run(*build, address), f"scheduler at {address} has no workers; start one")
        with worker(address, tmp_path / "w", "--no-nanny"):
            error = (
                "cannot embed: it cannot read /proc/self/cwd/pictures/brumbel.webp (No such file"
            )
            assert_error(run(*build, address), error)
            (tmp_path / "w" / "pictures" / "brumbel.webp").write_bytes(b"another")
            assert_error(run(*build, address), "brumbel.webp has 7 bytes there and ")
        info = tmp_path / "old" / "pokesim-0.0.1.dist-info"
        info.mkdir()
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: pokesim\nVersion: 0.0.1\n")
        old = {"PYTHONPATH": str(info.parent)}
        with worker(address, tmp_path / "old", "--no-nanny", **old):
            error = f"has pokesim 0.0.1, and this machine {pokesim.__version__}"
            assert_error(run(*build, address), error)
    assert_error(run(*build, address), f"No dask scheduler answers at {address}")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        other = f"tcp://127.0.0.1:{silent.getsockname()[1]}"
        assert_error(run(*build, other), f"No dask scheduler answers at {other}")


def assert_error(done, message, lines=1):
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", lines), done.stderr
    assert message in done.stderr
