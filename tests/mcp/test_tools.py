"""`pokesim mcp`, spoken to by the official client of the protocol over its standard streams."""

import asyncio
import base64
import io
import json
import os
import shutil
import subprocess
import sys

import pytest
from mcp import Client, StdioServerParameters
from mcp.client.stdio import stdio_client
from PIL import Image

import pokesim
from pokesim.mcp.tools import THUMBNAIL
from pokesim.samples import CREATURES


@pytest.fixture(scope="module")
def home(samples, tmp_path_factory):
    """A folder of creatures, some of them twice, and their index with a table."""
    home = tmp_path_factory.mktemp("assistant")
    for folder in ("pictures", "pictures/more"):
        (home / folder).mkdir()
    for name in CREATURES[:12]:
        shutil.copy(samples.images / f"{name}.webp", home / "pictures")
    for name in CREATURES[:2]:
        shutil.copy(samples.images / f"{name}.webp", home / "pictures" / "more")
    rows = (f"{name},{'fire' if at % 2 else 'grass'}\n" for at, name in enumerate(CREATURES[:12]))
    (home / "table.csv").write_text(f"Name,Type\n{''.join(rows)}")
    options = {"embedder": "compact", "metadata": home / "table.csv"}
    pokesim.build_index(home / "pictures", home / "index", **options)
    return home


def talking(home, talk):
    """Start the server for an index, and call ``talk(client)``; all it prints is protocol."""
    command = ["-m", "pokesim", "mcp", "--index", str(home / "index")]
    server = StdioServerParameters(command=sys.executable, args=command, env={**os.environ})
    garbage = []

    async def on_message(message):
        if isinstance(message, Exception):
            garbage.append(message)

    async def run():
        with (home / "stderr").open("w") as log:
            async with Client(stdio_client(server, log), message_handler=on_message) as client:
                return await talk(client)

    found = asyncio.run(run())
    assert not garbage
    assert "Traceback" not in (home / "stderr").read_text()
    return found


def test_the_tools_answer_as_the_commands_do(home, samples, run):
    photo = sorted(samples.photos.iterdir())[0]
    first = home / "pictures" / f"{CREATURES[0]}.webp"
    encoded = base64.b64encode(photo.read_bytes()).decode()

    async def talk(client):
        calls = [
            ("query", {"photo": str(photo), "k": 3, "where": "Type=fire"}),
            ("query", {"data": f"data:image/jpeg;base64,{encoded}", "k": 3, "thumbnails": False}),
            ("query", {"photo": str(photo), "k": 1, "crop": "20%,20%,60%,60%"}),
            ("similar", {"picture": str(first), "k": 2}),
            ("similar", {"picture": f"more/{first.name}", "k": 2}),
            ("similar", {"picture": CREATURES[5], "k": 1}),
            ("duplicates", {"limit": 1}),
            ("info", {}),
        ]
        listed = {tool.name: tool for tool in (await client.list_tools()).tools}
        return listed, [await client.call_tool(name, args) for name, args in calls]

    tools, answers = talking(home, talk)
    assert sorted(tools) == ["duplicates", "info", "query", "similar"]
    for tool in tools.values():
        assert tool.annotations.read_only_hint
        assert tool.output_schema["properties"]
        assert all(one["description"] for one in tool.input_schema["properties"].values())
    for answer in answers:
        assert not answer.is_error
        assert json.loads(answer.content[0].text) == answer.structured_content
    query, data, crop, by_path, below, by_label, copies, info = (
        answer.structured_content for answer in answers
    )

    options = ("--index", home / "index", "--format", "json")
    done = run("query", photo, "-k", "3", "--where", "Type=fire", *options)
    assert [query] == json.loads(done.stdout)
    assert query["matches"][0]["metadata"]["Type"] == "fire"
    (whole,) = json.loads(run("query", photo, "-k", "3", *options).stdout)
    assert data["matches"] == whole["matches"]
    assert crop["crop"] == "20%,20%,60%,60%"
    copy = by_path["matches"][0]
    assert (copy["path"], copy["similarity"]) == (str(home / "pictures/more" / first.name), 100)
    assert below["matches"][0]["path"] == str(first)
    assert by_label["query"] == CREATURES[5]
    assert copies["found"] == 2
    assert len(copies["groups"]) == 1
    assert copies["groups"][0][1]["kind"] == "identical"
    assert (info["pictures"], info["images"]) == (14, str(home / "pictures"))
    assert info["columns"][1] == {"column": "Type", "type": "text", "values": ["fire", "grass"]}

    images = [one for one in answers[0].content if one.type == "image"]
    assert len(images) == 3
    with Image.open(io.BytesIO(base64.b64decode(images[0].data))) as thumbnail:
        assert max(thumbnail.size) == THUMBNAIL
    assert len(answers[1].content) == 1


def test_each_mistake_is_one_sentence_and_a_new_build_is_noticed(home, tmp_path):
    shutil.copytree(home, tmp_path / "home")
    pictures, index = tmp_path / "home" / "pictures", tmp_path / "home" / "index"
    pokesim.build_index(pictures, index, metadata=False)
    os.mkfifo(tmp_path / "pipe.jpg")
    (tmp_path / "secret.txt").write_text("secret")
    mistakes = [
        ("query", {}, "Give either the path of a photo, or its data in base64, or words."),
        ("query", {"photo": "-"}, "There is no picture file '-'; give its path on this machine."),
        ("query", {"photo": "http://x/y.jpg"}, "There is no picture file 'http://x/y.jpg'; "),
        ("query", {"photo": str(tmp_path / "pipe.jpg")}, "There is no picture file "),
        ("query", {"photo": "a\0b"}, "There is no picture file 'a\\x00b'; "),
        ("query", {"photo": str(tmp_path / "secret.txt")}, "secret.txt: not an image"),
        ("query", {"words": "dog"}, "compact knows no words; general"),
        ("query", {"data": "%"}, "The picture's data are not base64."),
        ("query", {"data": "data:image/png;base64,"}, "The picture's data are empty."),
        ("query", {"photo": "x", "k": 0}, "k: Input should be greater than or equal to 1."),
        ("similar", {}, "picture: Field required."),
        ("similar", {"picture": "nobody"}, "no picture with the path or label 'nobody'."),
        ("similar", {"picture": str(tmp_path / "secret.txt")}, "no picture with the path"),
        ("similar", {"picture": CREATURES[0]}, "2 pictures are called "),
        ("similar", {"picture": CREATURES[3], "where": "Type=fire"}, "no metadata"),
        ("explode", {}, "Unknown tool: explode."),
    ]

    async def talk(client):
        answers = [await client.call_tool(name, args) for name, args, _ in mistakes]
        (pictures / f"{CREATURES[2]}.webp").unlink()
        pokesim.build_index(pictures, index)
        return answers, await client.call_tool("info", {})

    answers, info = talking(tmp_path / "home", talk)
    for answer, (_, _, message) in zip(answers, mistakes, strict=True):
        (said,) = answer.content
        assert answer.is_error
        assert message in said.text
        assert "\n" not in said.text
    assert info.structured_content["pictures"] == 13


def test_without_the_library_or_an_index_there_is_one_sentence(home, run):
    done = run("mcp", "--index", "nowhere")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("pokesim: There is no index at nowhere; ")
    code = "import sys; sys.modules['mcp'] = None; from pokesim.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code, "mcp", "--index", home / "index"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert "install it with `pip install 'pokesim[mcp]'`." in done.stderr
