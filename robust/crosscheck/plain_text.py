"""Names that come from model files, made safe for one line of text."""


def one_line(text: str) -> str:
    r"""Text on one line: what cannot be printed, line ends among it, becomes an escape.

    >>> one_line("a\nb\x1b")
    'a\\nb\\x1b'
    """
    return "".join(letter if letter.isprintable() else letter.encode("unicode_escape").decode() for letter in text)
