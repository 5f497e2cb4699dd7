"""Training of the models that ship with pokesim; not part of the wheel."""
