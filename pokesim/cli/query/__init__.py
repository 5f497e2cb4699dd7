"""`pokesim query`: its options, what they search for, and what is done with the answers."""
