"""Filters that hypothesis draws."""

from hypothesis import strategies as st

TYPES = ("grass", "fire", "water", "very odd, 'indeed'")

# Numbers where float64 rounds, and where 64-bit integers end.
NUMBERS = [
    f"{sign}{number}{end}"
    for sign in ("", "-")
    for number in (0, 7, *range(2**53 - 1, 2**53 + 3), 10**17 + 1, 10**18 - 64, 10**18 - 1)
    for end in ("", ".0", ".5", "e1", "e0")
]
NUMBERS += ["9.223372036854775e18", "9.3e18", "1e18", "1e19", "-1e19", "1e99", "0.1"]
NUMBERS += ["123456789012345678.9"]


def filters():
    """Draw random filters: each as text, and as a Python predicate on a row (type, hp)."""
    kinds = st.sampled_from(TYPES)

    def quoted(kind):
        return f'"{kind}"' if "'" in kind else kind

    same = kinds.map(lambda kind: (f"Type={quoted(kind)}", lambda row: row[0] == kind))
    other = kinds.map(lambda kind: (f"Type != {quoted(kind)}", lambda row: row[0] != kind))
    several = st.lists(kinds, min_size=1, max_size=3).map(
        lambda some: (f"Type in {','.join(map(quoted, some))}", lambda row: row[0] in some)
    )
    none = st.just(('HP=""', lambda row: row[1] is None))
    less = st.integers(-5, 105).map(
        lambda n: (f"HP < {n}", lambda row: row[1] is not None and row[1] < n)
    )
    tests = st.one_of(same, other, several, none, less)

    def joined(inner):
        pairs = st.tuples(inner, inner)
        return st.one_of(
            inner.map(lambda one: (f"not ({one[0]})", lambda row: not one[1](row))),
            pairs.map(
                lambda two: (f"({two[0][0]}) and ({two[1][0]})",
                             lambda row: two[0][1](row) and two[1][1](row))
            ),
            pairs.map(
                lambda two: (f"({two[0][0]}) or ({two[1][0]})",
                             lambda row: two[0][1](row) or two[1][1](row))
            ),
        )  # fmt: skip

    return st.recursive(tests, joined, max_leaves=6)
