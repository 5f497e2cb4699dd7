"""`python -m pokesim.cli`."""

from pokesim.cli import main

main()
