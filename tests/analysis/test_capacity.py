"""`pokesim plan` follows from the measured figures and grows with the number of pictures."""

import re
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import paths

from pokesim.analysis.capacity import (
    MEMORY_SHARE,
    NETWORK_MS,
    SERIAL_MS,
    plan_capacity,
    size_text,
    time_text,
)
from pokesim.embedders.catalog import CATALOG
from pokesim.index.folder.snapshot import IndexFolder
from pokesim.index.folder.writer import SnapshotWriter, new_snapshot
from pokesim.index.item import Item
from pokesim.index.manifest import EmbedderRecord, Manifest, SearchRecord

FIGURES = (paths.ROOT / "tests" / "benchmarks" / "README.md").read_text(encoding="utf-8")
SCALING = (paths.ROOT / "pokesim" / "distributed" / "README.md").read_text(encoding="utf-8")

images = st.floats(1, 1e12)
embedders = st.sampled_from(sorted(CATALOG))


def by_name(found):
    return {one.name: one for one in found.set_ups}


def test_figures_match_the_readme():
    found = by_name(plan_capacity(100_000, "resnet50"))
    assert "a scan by one thread takes 29 ms, and a search by codes 8 ms" in FIGURES
    assert found["flat"].seconds == pytest.approx(0.029)
    assert found["pca"].seconds == pytest.approx(0.008)
    assert found["flat"].memory == 819.2e6
    assert "310 s for a million files and 31 s for 100,000" in FIGURES
    assert SERIAL_MS == 310 / 1000
    assert "| pokesim, LiteRT | 23.7 | 7.0 | 95 % |" in FIGURES
    small = plan_capacity(1000, "resnet50").small_seconds - SERIAL_MS
    assert small == pytest.approx(23.7)
    assert "40.5 ms a picture" in FIGURES
    assert plan_capacity(1000, "resnet50").large_seconds == pytest.approx(40.5, rel=0.1)
    assert "`compact` embeds\nthem in 15.3 ms" in FIGURES
    assert plan_capacity(1000, "compact").large_seconds == pytest.approx(15.3, rel=0.2)
    shares = re.search(
        r"`compact` ([\d.]+), MobileNetV2 ([\d.]+), "
        r"EfficientNetV2-B0 ([\d.]+),\nConvNeXt-Tiny ([\d.]+);",
        FIGURES,
    )
    assert shares
    ways = ("compact", "mobilenet_v2", "efficientnet_v2_b0", "convnext_tiny")
    for name, share in zip(ways, shares.groups(), strict=True):
        assert NETWORK_MS[name] == pytest.approx(float(share) * NETWORK_MS["resnet50"])


def test_disk_matches_a_real_index(tmp_path):
    count, dims = 13_200, 1280
    rows = np.random.default_rng(0).normal(size=(count, dims)).astype(np.float32)
    for search, name in (("flat", "flat"), ("pca", "pca")):
        folder = tmp_path / search
        with new_snapshot(IndexFolder(folder)) as draft:
            writer = SnapshotWriter(draft.path, dims, None)
            writer.add(
                rows, [Item(i, f"{i:05}.png", f"{i:05}", 9999, i, f"{i:064}") for i in range(count)]
            )
            writer.finish()
            writer.close()
            record = EmbedderRecord("mobilenet_v2", "", 1, 224, "", True)
            manifest = Manifest(str(folder), record, dims, count, ())
            draft.commit(replace(manifest, search=SearchRecord(search)))
        files = IndexFolder(folder).current().manifest.files.values()
        planned = by_name(plan_capacity(count, "mobilenet_v2"))[name].disk
        assert planned == pytest.approx(sum(file["bytes"] for file in files), rel=0.06)


@given(images, images, embedders, st.integers(1, 1000), st.floats(1e9, 1e13))
def test_more_pictures_never_need_less(one, other, embedder, workers, memory):
    few, many = sorted((one, other))
    less, more = (
        plan_capacity(count, embedder, workers=workers, memory=memory) for count in (few, many)
    )
    assert less.small_seconds <= more.small_seconds
    assert less.large_seconds <= more.large_seconds
    smaller, larger = by_name(less), by_name(more)
    for name in smaller.keys() & larger.keys():
        for what in ("memory", "disk", "seconds"):
            assert getattr(smaller[name], what) <= getattr(larger[name], what)
        assert smaller[name].fits >= larger[name].fits


@given(images, embedders, st.integers(1, 1000), st.integers(1, 1000))
def test_more_workers_never_take_longer(count, embedder, one, other):
    few, many = sorted((one, other))
    less, more = (plan_capacity(count, embedder, workers=workers) for workers in (few, many))
    assert less.small_seconds >= more.small_seconds >= 1e-3 * int(count) * SERIAL_MS
    assert less.set_ups == more.set_ups


@given(images, embedders, st.floats(1e9, 1e13), st.floats(0, 1))
def test_the_recommended_set_up_is_exact_and_fits(count, embedder, memory, share):
    dims = max(1, round(share * CATALOG[embedder].dimension))
    found = plan_capacity(count, embedder, dims, memory=memory)
    assert found.recommended in found.set_ups
    assert found.recommended.exact
    assert found.recommended.fits
    nodes = int(re.search(r"Milvus, ([\d,]+) query", found.set_ups[-1].name)[1].replace(",", ""))
    assert found.set_ups[-1].memory / nodes <= MEMORY_SHARE * memory
    alone = [one for one in found.set_ups[:-1] if one.exact and one.fits]
    assert bool(alone) == ("Milvus" not in found.recommended.name)


@given(images, embedders)
def test_the_printed_formulas_give_the_printed_results(count, embedder):
    found = plan_capacity(count, embedder)
    steps = {step.what: step for step in found.steps}
    for what in ("vectors", "items"):
        numbers = [float(n) for n in re.findall(r"[\d.]+", steps[what].how.replace(",", ""))]
        assert size_text(np.prod(numbers)) == steps[what].result
    for what, seconds in (
        ("build, small pictures", found.small_seconds),
        ("build, 12 megapixels", found.large_seconds),
    ):
        formula = re.sub(" ms|,", "", steps[what].how).replace("×", "*")
        assert eval(formula, {"__builtins__": {}}) / 1000 == pytest.approx(seconds, rel=0.01)
        assert time_text(seconds) == steps[what].result


def test_the_readme_example_matches_the_output(run):
    command = re.search(r"\$ pokesim (plan .*)\n((?:    .*\n|\n)+)", SCALING)
    printed = "\n".join(line.removeprefix("    ") for line in command[2].splitlines())
    assert run(*command[1].split()).stdout.strip() == printed.strip()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--images", "0"], "The number of pictures must be from 1 to 1e12, not 0."),
        (["--images", "9", "--dims", "4096"], "general allows 1 to 640 dimensions, not 4096."),
        (["--images", "9", "--workers", "0"], "at least one worker and a megabyte"),
        (["--images", "9", "--memory", "1e-9"], "at least one worker and a megabyte"),
        (["--images", "9", "--embedder", "resent50"], "Did you mean resnet50?"),
    ],
)
def test_bad_options_are_usage_errors(run, options, message):
    done = run("plan", *options)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 2)
    assert message in done.stderr
