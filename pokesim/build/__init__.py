"""Picture folder → index: plan, load, embed, write, commit."""
