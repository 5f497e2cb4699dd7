"""Tools for assistants that speak the Model Context Protocol. Needs ``pokesim[mcp]``."""
