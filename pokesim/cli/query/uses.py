"""What `pokesim query` does with the matches besides printing them."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pokesim.cli.options import check_folder, check_page, check_picture
from pokesim.cli.output import complain, draw, note, progress
from pokesim.errors import PictureError, UsageError
from pokesim.show.answers import verdict
from pokesim.show.text import counted

if TYPE_CHECKING:
    from pokesim.search.copies import Copies
    from pokesim.search.explain import Explanation
    from pokesim.search.index import Index
    from pokesim.search.matches import Answer, Matches


@dataclass(frozen=True, slots=True)
class Uses:
    """What to do with the matches: the options of the command with these names."""

    save: Path | None
    html: Path | None
    explain: bool
    show: bool
    copy_to: Path | None
    link_to: Path | None
    open: bool

    @property
    def any(self) -> bool:
        """Whether there is anything to do that needs all matches."""
        return bool(self.save or self.html or self.copy_to or self.link_to or self.open)

    def check(self, photos: int, is_combined: bool) -> None:
        """Check before the work that all can be done.

        Args:
            photos: how many there are.
            is_combined: whether they are combined with others or with words.

        Raises:
            UsageError: the options do not go together.
            PokesimError: a file or a folder cannot be written.
        """
        if self.save:
            from pokesim.show.drawing.card import check_room

            check_picture(self.save)
            check_room(photos, self.save)
        if self.html:
            check_page(self.html)
        if self.copy_to and self.link_to:
            raise UsageError("Give --copy-to or --link-to, not both.")
        if folder := self.copy_to or self.link_to:
            check_folder(folder)
        if self.open and photos > 1 and not (self.save or self.html):
            raise UsageError("--open with several photos needs --save or --html, which it opens.")
        if self.explain and not (self.save or self.html):
            raise UsageError("--explain needs --save or --html, which it colours.")
        if self.explain and is_combined:
            raise UsageError(
                "--explain is for one photo, so it does not go with --with, --without or words."
            )

    def make(self, index: Index, answers: Sequence[Answer]) -> bool:
        """Do it, and return whether each match could be copied or linked."""
        good = [answer for answer in answers if answer.matches]
        if self.show:
            _preview(good)
        if not good:
            return True
        if self.save or self.html:
            self._draw(index, answers)
        from pokesim.search.matches import Matches

        is_complete = True
        if self.copy_to:
            is_complete = _put(index, answers, self.copy_to, Matches.copy_to, "copied")
        if self.link_to:
            is_complete = _put(index, answers, self.link_to, Matches.link_to, "linked")
        if self.open:
            from pokesim.show.viewer import open_in_viewer

            open_in_viewer(self.save or self.html or good[0].matches[0].path)
        return is_complete

    def _draw(self, index: Index, answers: Sequence[Answer]) -> None:
        explanations = _explained(index, answers) if self.explain else [None] * len(answers)
        if self.save:
            from pokesim.show.drawing.card import save_cards

            drawn = [at for at, answer in enumerate(answers) if answer.matches]
            shown = [explanations[at] for at in drawn]
            save_cards([answers[at] for at in drawn], self.save, shown)
        if self.html:
            from pokesim.show.html_report import report

            about = f"{counted(len(index), 'picture')}, compared by {index.manifest.embedder.name}."
            with progress("photos drawn") as show:
                report(answers, self.html, explanations=explanations, about=about, progress=show)


def _explained(index: Index, answers: Sequence[Answer]) -> list[Explanation | None]:
    explanations = []
    with progress("photos explained") as show:
        for answer in answers:
            explanations.append(_explanation(index, answer) if answer.matches else None)
            show(len(explanations), len(answers))
    return explanations


def _explanation(index: Index, answer: Answer) -> Explanation | None:
    """Explain a photo's best match, if the two are alike and both still exist."""
    if not answer.resembles:
        best = f"{answer.matches[0].label} is only the {verdict(answer)}"
        note(f"No heat map for {answer.query}: {best}, so there is no likeness to show.")
        return None
    assert answer.photo is not None  # --explain and --words do not go together
    try:
        return index.explain(answer.photo, answer.matches[0].path)
    except PictureError as error:
        note(f"No explanation: {error}")
        return None


def _preview(answers: Sequence[Answer]) -> None:
    import shutil

    from pokesim.show.terminal import preview

    if not sys.stderr.isatty():
        note("--show needs a terminal; nothing is drawn.")
        return
    for answer in answers:
        draw(preview(answer.photo, answer.matches, shutil.get_terminal_size()))


def _put(
    index: Index,
    answers: Sequence[Answer],
    folder: Path,
    put: Callable[[Matches, Path], Copies],
    done: str,
) -> bool:
    """Put the matches in a folder, those of several photos in a folder in it for each photo."""
    from pokesim.files import numbered_name
    from pokesim.images import name_of

    copies: list[Copies] = []
    for number, answer in enumerate(answers, 1):
        if answer.matches:
            name = numbered_name(number, len(answers), Path(name_of(answer.query)).stem)
            place = folder / name if len(answers) > 1 else folder
            copies.append(put(answer.matches, place))
    for path, reason in (one for each in copies for one in each.skipped):
        complain(f"{path} was not {done}: {reason}.")
    files = sum(len(each.files) for each in copies)
    note(f"{done.capitalize()} {counted(files, 'picture')} to {folder}.")
    if folder.resolve().is_relative_to(Path(index.manifest.images).resolve()):
        note(f"{folder} is inside the picture folder, so the next build will find them too.")
    return not any(each.skipped for each in copies)
