"""A page and a REST interface to one index: parse, ask, show. Needs ``pokesim[web]``."""
