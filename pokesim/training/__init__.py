"""How the networks that ship with pokesim are made; not part of the wheel."""
