"""Check and repair an index; examine this machine."""
