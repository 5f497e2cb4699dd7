"""How the compact network is trained."""
