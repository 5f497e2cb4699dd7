"""Standard streams that are closed, full or a broken pipe, and a folder that is gone."""

import os
import subprocess
import sys

import pytest
from PIL import Image

pytestmark = pytest.mark.skipif(os.name != "posix", reason="POSIX shells and devices")


@pytest.fixture
def shell(tmp_path):
    """Return a function that runs a line of bash in which $P is `pokesim`."""

    def run(line, **env):
        done = subprocess.run(
            ["bash", "-c", line],
            capture_output=True,
            text=True,
            errors="replace",
            cwd=tmp_path,
            env=os.environ | {"P": f"{sys.executable} -m pokesim"} | env,
            timeout=120,
            check=False,
        )
        assert "Traceback" not in done.stderr
        assert "Exception ignored" not in done.stderr
        return done

    return run


@pytest.mark.parametrize("command", ["--version", "--help", "embedders", "embedders --format csv"])
@pytest.mark.parametrize("target", ["/dev/full", "&-"])
def test_results_that_cannot_be_written_are_one_sentence(shell, command, target):
    done = shell(f"$P {command} >{target}")
    assert done.returncode == 1
    reason = "No space left on device" if target == "/dev/full" else "Bad file descriptor"
    (line,) = done.stderr.splitlines()
    assert line.startswith("pokesim: ")
    assert reason in line


@pytest.mark.parametrize("target", ["/dev/full", "&-"])
def test_notes_that_cannot_be_written_change_neither_result_nor_exit_code(shell, target):
    assert shell(f"$P cache clear copies 2>{target}").stdout.startswith("Removed 0.0 MB")
    assert shell(f"$P info -i nowhere 2>{target}").returncode == 1
    assert shell(f"$P nonsense 2>{target}").returncode == 2
    assert shell(f"$P nonsense 2>{target} >&- <&-").returncode == 2


def test_an_index_built_without_standard_streams_is_sound(shell, samples):
    build = f"$P build-index {samples.photos} --embedder compact"
    assert shell(f"{build} <&- >&- 2>&-").returncode == 1  # the result could not be printed
    assert shell("$P check").stdout.endswith("is sound.\n")
    assert "Nothing to do" in shell(f"{build} <&- 2>&-").stdout
    assert shell("$P query - <&-").stderr == "pokesim: standard input: empty.\n"


def test_a_picture_is_saved_although_nobody_reads_the_results(shell, samples, index_path, tmp_path):
    photos = " ".join(map(str, sorted(samples.photos.iterdir())[:2]))
    options = f"-k 1 -i {index_path} --format ndjson --save x.jpg"
    assert shell(f"$P query {photos} {options} | true").stderr == ""
    with Image.open(tmp_path / "x.jpg") as cards:
        assert cards.size == (1200, 2 * 630)


def test_a_broken_pipe_is_quiet(shell, samples, index_path):
    photo = next(samples.photos.iterdir())
    done = shell(f"$P query {photo} {photo} -k 99 -i {index_path} --format ndjson | head -1")
    assert (done.stdout.count("\n"), done.stderr) == (1, "")
    assert shell(f"$P query {photo} -i {index_path} | true").stderr == ""


def test_a_current_folder_that_is_gone_is_one_sentence(shell):
    for command in ("info", "--help", "query x.png"):
        done = shell(f"mkdir gone; cd gone; rmdir ../gone; $P {command}")
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr.endswith("cannot be used (No such file or directory); change to "
                                    "another one.\n")  # fmt: skip
        assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_a_terminal_of_few_characters_gets_the_others_escaped(shell, encoding):
    done = shell("$P plan --images 1e6", PYTHONIOENCODING=encoding)
    assert done.returncode == 0, done.stderr
    assert "Recommended:" in done.stdout


def test_without_a_network_only_debug_shows_a_traceback(run, tmp_path):
    own = {"POKESIM_CACHE": str(tmp_path / "cache"), "KERAS_HOME": str(tmp_path / "keras")}
    own |= {"https_proxy": "http://127.0.0.1:1"}
    done = run("embedders", "--prepare", "mobilenet_v2", "--verbose", **own)
    assert done.returncode == 1
    unreachable, error = done.stderr.splitlines()
    assert unreachable.startswith("https://")
    assert "is unreachable (" in unreachable
    assert error.startswith("pokesim: The weights of mobilenet_v2 are not in ")
