"""HTML report: photos and their matches as one file without scripts or external resources."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from html import escape
from pathlib import Path, PurePath

from pokesim.gallery import data_url
from pokesim.images import PictureSource
from pokesim.search.explain import Explanation
from pokesim.search.matches import Answer, Match
from pokesim.show.answers import query_name, verdict
from pokesim.show.drawing.canvas import tile
from pokesim.show.drawing.heatmap import heated, scale
from pokesim.show.html_page import save_page
from pokesim.show.text import plain

_LARGE, _SMALL = (800, 640), (340, 272)  # sizes in pixels, somewhat larger than shown


def save_report(
    answers: Sequence[Answer],
    path: Path,
    explanations: Sequence[Explanation | None],
    about: str,
) -> None:
    """Write photos and their matches as one self-contained HTML file.

    File names are shown without their folders. Missing pictures are left blank.

    Args:
        answers: each with at least one match.
        path: the file to write.
        explanations: of each photo and its best match, or None.
        about: a line for the footer, such as what was searched.

    Raises:
        PokesimError: the file cannot be written.
    """
    sections = [_section(*one) for one in zip(answers, explanations, strict=True)]
    more = f" and {len(answers) - 1:,} more" if len(answers) > 1 else ""
    parts = {
        "title": escape(f"What looks like {_name(answers[0])}{more}"),
        "answers": "\n".join(sections),
        "about": escape(about),
    }
    save_page(path, "report.html", parts)


def _name(answer: Answer) -> str:
    return plain(query_name(replace(answer, query=PurePath(answer.query).name)))


def _section(answer: Answer, explanation: Explanation | None) -> str:
    best, name = answer.matches[0], escape(_name(answer))
    items = "\n".join(map(_item, answer.matches))
    return f"""<section>
<h1>What looks like {name}</h1>
<div class="best">
<figure>{_image(answer.photo, _LARGE, "the photo")}<figcaption>{name}</figcaption></figure>
<p class="ring" style="--share: {best.similarity:.2f}%"><b>{best.similarity:.0f} %</b> similar</p>
<figure>{_image(best.path, _LARGE, "")}<figcaption>{verdict(answer)}
<b>{_text(best.label)}</b></figcaption></figure>
</div>
{_why(answer, explanation) if explanation else ""}
<h2>All matches</h2>
<ol>
{items}
</ol>
</section>"""


def _why(answer: Answer, explanation: Explanation) -> str:
    photo = heated(answer.photo, explanation.photo, explanation.shift, *_LARGE)
    match = heated(answer.matches[0].path, explanation.picture, explanation.shift, *_LARGE)
    legend = "redder where it adds more to the similarity"
    return f"""<h2>Why they match</h2>
<div class="why">
{_image(photo, _LARGE, f"the photo, {legend}", whole=True)}
{_image(match, _LARGE, f"the match, {legend}", whole=True)}
</div>
<p><img class="scale" src="{data_url(scale(192, 8))}" alt="">The redder an area, the more it adds \
to the similarity.</p>"""


def _item(match: Match) -> str:
    label = _text(match.label)
    facts = [f"{match.similarity:.1f} % similar", f"distance {match.distance:.4f}"]
    facts += [] if match.near is None else [f"nearby pictures: {match.near:,}"]
    facts.append(_text(match.path.name))
    cells = "".join(
        f"<dt>{_text(column)}</dt><dd>{_text(str(value))}</dd>"
        for column, value in match.metadata.items()
        if value is not None
    )
    return f"""<li>{_image(match.path, _SMALL, "")}
<b>{match.rank}. {label}</b>
<div class="bar" style="--share: {match.similarity:.2f}%"></div>
<span>{"<br>".join(facts)}</span>
{f"<dl>{cells}</dl>" if cells else ""}</li>"""


def _image(source: PictureSource, size: tuple[int, int], alt: str, whole: bool = False) -> str:
    return f'<img src="{data_url(tile(source, *size, whole=whole))}" alt="{escape(alt)}">'


def _text(text: str) -> str:
    """Escape a text for HTML, and controls that would reverse the line."""
    return escape(plain(text))
