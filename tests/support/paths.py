"""Where the repository is, and the pictures and weights beside it, where they are at hand."""

from pathlib import Path

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
SHARED = ROOT.parent / "shared"
