"""Check and repair an index; diagnose this installation."""
