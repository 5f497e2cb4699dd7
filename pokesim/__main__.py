"""``python -m pokesim`` is `pokesim`."""

from pokesim.cli import main

main()
