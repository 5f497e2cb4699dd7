"""Shared fixtures: a separate cache, the sample pictures, an index of them, a command runner."""

import itertools
import os

# Read when a process starts. The cores have enough to do: OpenBLAS's threads would only spin, and
# those of FAISS must not spin while they wait. And thousands of processes must not each compile
# what they import.
os.environ["OPENBLAS_NUM_THREADS"] = "1"
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock
from support.browser import FLAGS
from support.weights import SEEDED

import pokesim
from pokesim.embedders.catalog import CATALOG
from pokesim.embedders.embedder import Model
from pokesim.embedders.prepare import prepare_model
from pokesim.samples import Samples, builtin_samples

# A background job of a shell ignores SIGINT, and so would the processes that tests interrupt.
signal.signal(signal.SIGINT, signal.default_int_handler)

Run = Callable[..., subprocess.CompletedProcess[str]]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the slowest file first, so that no core waits for it at the end."""
    items.sort(key=lambda item: item.path.name != "test_documented_examples.py")


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder that all processes of a test run share."""
    base = tmp_path_factory.getbasetemp()
    return base.parent if "PYTEST_XDIST_WORKER" in os.environ else base


@pytest.fixture(scope="session", autouse=True)
def cache(shared: Path) -> Path:
    """Use separate caches for pokesim and Keras, so that tests never touch the user's."""
    folder = shared / "cache"
    folder.mkdir(exist_ok=True)
    os.environ["POKESIM_CACHE"] = str(folder)
    os.environ["KERAS_HOME"] = str(folder / "keras")
    return folder


@pytest.fixture(scope="session")
def samples() -> Samples:
    """Return the built-in sample pictures; no test may write to them."""
    return builtin_samples()


@pytest.fixture(scope="session")
def index_path(samples: Samples, shared: Path) -> Path:
    """Return an index of the sample creatures; tests must not change it."""
    path = shared / "indexes" / "samples"
    with FileLock(shared / "index.lock"):
        if not path.exists():
            pokesim.build_index(samples.images, path, embedder="compact")
    return path


@pytest.fixture(scope="session")
def general(shared: Path) -> Model:
    """Return the model of the default embedder; the first test that needs it exports its part."""
    with FileLock(shared / "general.lock"):
        return prepare_model("general")


@pytest.fixture(scope="session")
def seeded_weights(samples: Samples, shared: Path) -> Callable[[str, bool], Path]:
    """Return a function (Keras class, with classifier?) → weights file; first use writes all.

    Beside each is what Keras makes of the first three photos, float32 (3, dimension): `….h5.npy`.
    """
    folder = shared / "weights"
    folder.mkdir(exist_ok=True)

    def path_of(keras_class: str, top: bool) -> Path:
        return folder / f"{keras_class}-{'top' if top else 'notop'}.weights.h5"

    def make(keras_class: str, top: bool = False) -> Path:
        with FileLock(folder / "lock"):
            if not path_of(keras_class, top).exists():  # all at once: importing Keras takes long
                specs = [(spec.name, spec.keras) for spec in CATALOG.values() if spec.keras]
                files = [
                    (name, path_of(source.class_name, source.classifier)) for name, source in specs
                ]
                command = [sys.executable, "-c", SEEDED, samples.photos, *itertools.chain(*files)]
                subprocess.run(command, check=True, capture_output=True)
        return path_of(keras_class, top)

    return make


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Return a function that runs `pokesim …` in a new process, in an empty folder."""

    def pokesim_process(
        *args: str | Path, stdin: bytes = b"", **env: str
    ) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [sys.executable, "-m", "pokesim", *map(os.fspath, args)],
            input=stdin,
            capture_output=True,
            cwd=tmp_path,
            env=os.environ | env,
            timeout=300,
            check=False,
        )
        out, err = done.stdout.decode(), done.stderr.decode()
        assert "Traceback" not in err
        return subprocess.CompletedProcess(done.args, done.returncode, out, err)

    return pokesim_process


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Start Chromium, or skip the test."""
    chromium = shutil.which("chromium")
    if not chromium:
        missing = "Chromium is missing; run `apt-get install chromium`."
        if os.environ.get("POKESIM_BROWSER") == "required":
            pytest.fail(missing)
        pytest.skip(missing)
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=chromium, args=FLAGS.split())
        yield started
        started.close()


@pytest.fixture
def wrong() -> Iterator[list[str]]:
    """Return a list for errors of the browser and requests to other hosts; checks it is empty."""
    errors: list[str] = []
    yield errors
    assert errors == []
