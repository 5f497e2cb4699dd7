"""A web page and a REST interface for one index. Needs ``pokesim[web]``."""
