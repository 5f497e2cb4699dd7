"""Paths of the repository, its READMEs, and the optional pictures and weights next to it."""

from pathlib import Path

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
ROOMS = (
    "indexes",
    "pokesim/analysis",
    "pokesim/distributed",
    "pokesim/embedders",
    "pokesim/mcp",
    "pokesim/samples",
    "pokesim/show",
    "pokesim/web",
    "tests/benchmarks",
)
READMES = [README, *(ROOT / room / "README.md" for room in ROOMS)]
SHARED = ROOT.parent / "shared"
