"""Models of every kind, loaded by how far they can be trusted."""
