"""Counts with their nouns, for messages and notes."""


def counted(number: int, word: str) -> str:
    """A count with its noun.

    >>> counted(1, "byte"), counted(2048, "byte"), counted(0, "row")
    ('1 byte', '2,048 bytes', '0 rows')
    """
    return f"{number:,} {word}{'' if number == 1 else 's'}"
