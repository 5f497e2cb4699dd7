"""A notebook shows pictures for what pokesim returns."""

import re

import nbformat
from nbclient import NotebookClient

CELLS = [
    "import pokesim",
    'pokesim.build_index("images", "index", embedder="compact")',
    'index = pokesim.open_index("index"); index',
    "len(index), index[0], index.labels[:3]",
    "index[0].image()",
    'matches = index.query("photo.jpg", k=4); matches',
    "matches[0]",
    "matches.to_records()[0]",
    'next(index.answer(["photo.jpg"], k=3))',
    'pokesim.card(next(index.answer(["photo.jpg"])))',
    'pokesim.find_duplicates("index", similar=True, threshold=60)',
    'pokesim.evaluate_index("photos", "index")',
]


def test_a_notebook_shows_pictures(samples, tmp_path):
    (tmp_path / "images").symlink_to(samples.images)
    (tmp_path / "photo.jpg").symlink_to(samples.photos / "brumbel.jpg")
    (tmp_path / "photos").symlink_to(samples.photos)
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(one) for one in CELLS])
    NotebookClient(notebook, resources={"metadata": {"path": str(tmp_path)}}).execute()
    shown = [cell.outputs[-1].data if cell.outputs else {} for cell in notebook.cells]
    counts = {
        at: len(re.findall("<img ", data["text/html"]))
        for at, data in enumerate(shown)
        if "text/html" in data
    }
    assert counts.pop(10) > 1  # similar sample pictures
    assert counts == {2: 60, 5: 4, 6: 1, 8: 4, 11: 4}
    assert [at for at, data in enumerate(shown) if "image/png" in data] == [4, 9]
    assert "pictures by compact in index" in shown[2]["text/plain"]
    nbformat.write(notebook, tmp_path / "shown.ipynb")
