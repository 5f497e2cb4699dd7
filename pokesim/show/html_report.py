"""HTML report: photos and their matches as one file without scripts or external resources."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from html import escape
from pathlib import Path, PurePath

from PIL import Image

from pokesim.arguments import file_path, iterable, text
from pokesim.errors import PictureError, UsageError
from pokesim.gallery import data_url
from pokesim.images import PictureSource
from pokesim.progress import Progress
from pokesim.search.explain import Explanation, Map
from pokesim.search.matches import Answer, Match
from pokesim.show.answers import query_name, verdict
from pokesim.show.drawing.canvas import tile
from pokesim.show.drawing.heatmap import FINER, heated, scale
from pokesim.show.html_page import save_page
from pokesim.show.text import plain
from pokesim.threads import read_ahead, usable_cores

_LARGE, _SMALL = (800, 640), (340, 272)  # sizes in pixels, somewhat larger than shown


@dataclass(frozen=True, slots=True)
class _Section:
    """What one photo's section shows.

    Attributes:
        number: its place in the report, from 1.
        answer: the photo and its matches.
        explanation: of the photo and its best match, or None.
        heading: the tag of the headings in it.
    """

    number: int
    answer: Answer
    explanation: Explanation | None
    heading: str


def report(
    answers: Iterable[Answer],
    path: str | Path,
    *,
    explanations: Iterable[Explanation | None] = (),
    about: str = "",
    progress: Progress | None = None,
) -> None:
    """Write photos and their matches as one self-contained HTML file.

    Several photos get a table of contents, and sections that fold. File names are shown without
    their folders. Missing pictures are left blank; a photo without matches says why.

    Args:
        answers: from `Index.answer`.
        path: the file to write.
        explanations: for each answer, that of the photo and its best match from `Index.explain`, or
            None; they are drawn as heat maps. Empty for none at all.
        about: a line for the footer, such as what was searched.
        progress: called with (photos done, photos in all).

    Raises:
        UsageError: there is no answer, or another number of explanations.
        PokesimError: the file cannot be written.
    """
    answers, path = [*iterable("answers", answers)], file_path("The report", path)
    about = text("about", about)
    explained = [*iterable("explanations", explanations)] or [None] * len(answers)
    if not answers or not all(isinstance(answer, Answer) for answer in answers):
        raise UsageError("A report needs answers, such as those of Index.answer.")
    if len(explained) != len(answers):
        raise UsageError(f"{len(explained)} explanations do not fit {len(answers)} answers.")
    is_one = len(answers) == 1
    heading = "h2" if is_one else "h3"
    sections = [
        _Section(number, *one, heading)
        for number, one in enumerate(zip(answers, explained, strict=True), 1)
    ]
    more = "" if is_one else f" and {len(answers) - 1:,} more"
    write = _written if is_one else _folding
    parts = []
    for part in read_ahead(write, sections, ahead=2 * usable_cores()):
        parts.append(part)
        if progress:
            progress(len(parts), len(sections))
    page = {
        "title": escape(f"{_title(answers[0])}{more}"),
        "contents": "" if is_one else _contents(sections),
        "answers": "\n".join(parts),
        "about": escape(about),
    }
    save_page(path, "report.html", page)


def _name(answer: Answer) -> str:
    query = answer.query if answer.photo is None else PurePath(answer.query).name
    return plain(query_name(replace(answer, query=query)))


def _title(answer: Answer) -> str:
    if answer.photo is None:
        return f"{verdict(answer).capitalize()} {_name(answer)}"
    return f"What looks like {_name(answer)}"


def _contents(sections: Sequence[_Section]) -> str:
    items = "\n".join(map(_entry, sections))
    return (
        f'<nav aria-labelledby="contents"><h2 id="contents">Photos</h2><ol>\n{items}\n</ol></nav>'
    )


def _entry(section: _Section) -> str:
    answer = section.answer
    found = "no match"
    if answer.matches:
        best = answer.matches[0]
        colon = "" if answer.resembles else ":"
        found = f"{verdict(answer)}{colon} {_text(best.label)}, {best.similarity:.0f} %"
    name = escape(_name(answer))
    return f'<li><a href="#photo-{section.number}">{name}</a> <span>{found}</span></li>'


def _folding(section: _Section) -> str:
    return f"""<details open>
<summary><h2>{escape(_title(section.answer))}</h2></summary>
{_written(section)}
</details>"""


def _written(section: _Section) -> str:
    answer, place = section.answer, f'id="photo-{section.number}"'
    if not answer.matches:
        error = answer.error  # whose text has the photo's folder
        why = (
            f"This photo was not searched: {error.reason}."
            if error
            else "No picture passes the filters."
        )
        return f"<p {place}>{_text(why)}</p>"
    if answer.photo is None:
        found = "\n".join(map(_item, answer.matches))
        return f'<ol class="matches" {place}>{found}</ol>'
    name, items = escape(_name(answer)), "\n".join(map(_item, answer.matches[1:]))
    further = f"<{section.heading}>Further matches</{section.heading}>"
    return f"""<div class="best" {place}>
<figure>{_image(answer.photo, _LARGE, "the photo")}<figcaption>{name}</figcaption></figure>
{_similarity(answer.matches[0])}
{_best(answer)}
</div>
{_why(section, section.explanation) if section.explanation else ""}
{f'{further}<ol class="matches" start="2">{items}</ol>' if items else ""}"""


def _similarity(best: Match) -> str:
    """Return a similarity in a ring, but that of what is only the closest in plain."""
    share = f' ring" style="--share: {best.similarity:.2f}%' if best.resembles else ""
    return f'<p class="similar{share}"><b>{best.similarity:.0f} %</b> similar</p>'


def _best(answer: Answer) -> str:
    best = answer.matches[0]
    return f"""<figure>{_image(best.path, _LARGE, "")}<figcaption>{verdict(answer)}
<b>{_text(best.label)}</b><span>{"<br>".join(_facts(best))}</span>{_cells(best)}</figcaption></figure>"""


def _why(section: _Section, explanation: Explanation) -> str:
    answer, fine = section.answer, explanation.finer(FINER)
    assert answer.photo is not None
    legend = "redder where it adds more to the similarity"
    colours = _two(scale(384, 12), scale(384, 12, is_dark=True), "", "scale")
    return f"""<{section.heading}>Why they match</{section.heading}>
<div class="why">
{_heated(answer.photo, fine.photo, fine.shift, f"the photo, {legend}")}
{_heated(answer.matches[0].path, fine.picture, fine.shift, f"the match, {legend}")}
</div>
<p>{colours}The redder an area, the more it adds to the similarity.</p>"""


def _heated(source: PictureSource, places: Map, shift: float, alt: str) -> str:
    try:
        light, dark = (
            heated(source, places, shift, *_LARGE, is_dark=is_dark) for is_dark in (False, True)
        )
    except PictureError:  # it has gone since it was explained
        return _image(source, _LARGE, alt)
    return _two(light, dark, alt, "heat")


def _two(light: Image.Image, dark: Image.Image, alt: str, kind: str) -> str:
    """Return a picture that has another version for a page with a dark ground."""
    return (
        f'<picture><source media="(prefers-color-scheme: dark)" srcset="{data_url(dark)}">'
        f'<img class="{kind}" src="{data_url(light)}" alt="{escape(alt)}"></picture>'
    )


def _item(match: Match) -> str:
    far = "" if match.resembles else " far"
    bar = f'<div class="bar{far}" style="--share: {match.similarity:.2f}%"></div>'
    return f"""<li>{_image(match.path, _SMALL, "")}
<b>{match.rank}. {_text(match.label)}</b>
{bar if match.resembles is not None else ""}
<span>{"<br>".join(_facts(match))}</span>
{_cells(match)}</li>"""


def _facts(match: Match) -> list[str]:
    facts = [] if match.resembles is None else [f"{match.similarity:.1f} % similar"]
    facts += [f"distance {match.distance:.4f}"]
    facts += [] if match.near is None else [f"nearby pictures: {match.near:,}"]
    return [*facts, _text(match.path.name)]


def _cells(match: Match) -> str:
    """List what the table says of a match, besides its label."""
    cells = "".join(
        f"<dt>{_text(column)}</dt><dd>{_text(str(value))}</dd>"
        for column, value in match.metadata.items()
        if value is not None and str(value).casefold() != match.label.casefold()
    )
    return f"<dl>{cells}</dl>" if cells else ""


def _image(source: PictureSource, size: tuple[int, int], alt: str) -> str:
    return f'<img src="{data_url(tile(source, *size, is_clear=True))}" alt="{escape(alt)}">'


def _text(text: str) -> str:
    """Escape a text for HTML, and controls that would reverse the line."""
    return escape(plain(text))
