"""Data sets: rows, what is known about each column, and how they are read from memory and from files."""
