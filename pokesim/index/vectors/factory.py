"""The FAISS factory strings that ``--search`` takes, checked before FAISS sees them.

FAISS ends the process on some strings that its parser accepts (``HNSW0``), builds what it cannot
search from others (``IVF0,Flat``), or runs out of memory. So we accept the part of its language
that is useful here, with bounds for each number.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from pokesim.arguments import shown
from pokesim.errors import UsageError

MAX_TRAINING_ROWS = 50_000
"""The most vectors that FAISS is trained on; it needs at least one for each cell and centroid."""

_MAX_LINKS = 512  # of a vector in an HNSW graph, on each of its levels

_MAX_EF = 1 << 16  # candidates that a search in an HNSW graph keeps

_N = "[1-9][0-9]{0,8}"

_GRAMMAR = re.compile(
    rf"""
    (?: (?P<transforms> (?: (?: OPQ{_N}(?:_{_N})? | PCAR?{_N} | RR{_N} | L2norm ), ){{0,4}} )
        (?: IVF(?P<cells>{_N})(?:_HNSW(?P<cell_links>{_N}))?, )?
        (?: Flat | SQ4 | SQ6 | SQ8 | SQfp16 | PQ(?P<pq>{_N})(?:x(?P<bits>{_N}))? )
      | HNSW(?P<links>{_N})(?:,(?: Flat | SQ8 | PQ(?P<links_pq>{_N}) ))?
    )
    (?: \ (?P<parameters> [a-zA-Z_]+={_N} (?: ,[a-zA-Z_]+={_N} )* ) )?
    """,
    re.VERBOSE,
)

_TRANSFORM = re.compile(rf"(?P<kind>OPQ|PCAR?|RR)(?P<first>{_N})(?:_(?P<second>{_N}))?,")


@dataclass(frozen=True, slots=True)
class Factory:
    """A factory string that FAISS can build.

    Attributes:
        description: what FAISS's ``index_factory`` takes.
        parameters: what its ``set_index_parameters`` takes; empty if there are none.
    """

    description: str
    parameters: str


def parse_factory(string: str, dimension: int) -> Factory:
    """Check a factory string for vectors of a dimension; indexes/README.md shows the grammar.

    Raises:
        UsageError: it does not follow the grammar, or a number is out of bounds.
    """
    match = _GRAMMAR.fullmatch(string)
    problem = _problem(match, dimension) if match else "see indexes/README.md for its parts"
    if match is None or problem:
        name = string if string.isprintable() and len(string) < 100 else shown(string)
        raise UsageError(
            f"--search {name} is neither auto, flat or pca nor a FAISS factory string that "
            f"pokesim takes for vectors of dimension {dimension} ({problem})."
        )
    return Factory(string.partition(" ")[0], match["parameters"] or "")


def _problem(match: re.Match[str], dimension: int) -> str:
    """Say what is wrong with the numbers of a string that follows the grammar, or return ""."""
    for transform in _TRANSFORM.finditer(match["transforms"] or ""):
        out = int(transform["second"] or transform["first"])
        if transform["kind"] == "OPQ":
            out = int(transform["second"] or dimension)
            if out % int(transform["first"]):
                return f"OPQ{transform['first']} does not divide the dimension {out}"
        if out > dimension:
            return f"{transform[0][:-1]} has more than the {dimension} dimensions it starts from"
        dimension = out
    for name in ("pq", "links_pq"):
        if match[name] and dimension % int(match[name]):
            return f"PQ{match[name]} does not divide the dimension {dimension}"
    settable = {"efSearch": _MAX_EF} if match["links"] else {}
    if match["cells"]:
        settable["nprobe"] = int(match["cells"])
    if match["cell_links"]:
        settable["quantizer_efSearch"] = _MAX_EF
    bounds = [("IVF", match["cells"], 1, MAX_TRAINING_ROWS), ("PQ…x", match["bits"], 4, 12)]
    bounds += [("HNSW", match[name], 2, _MAX_LINKS) for name in ("links", "cell_links")]
    for parameter in (match["parameters"] or "").split(",") if match["parameters"] else ():
        name, _, value = parameter.partition("=")
        if name not in settable:
            known = ", ".join(settable) or "none"
            return f"there is no parameter {name} to set; there is {known}"
        bounds.append((f"{name}=", value, 1, settable[name]))
    for name, value, least, most in bounds:
        if value and not least <= int(value) <= most:
            return f"the number after {name} must be from {least} to {most}, not {value}"
    return ""
