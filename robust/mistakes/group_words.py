"""Where mistakes gather, in one sentence."""

from collections.abc import Sequence

from robust.mistakes.group_rates import GroupRate

_MOST_NAMES = 4
#: Values that are above the rest, though not beyond doubt, are named where they are at most this share of the values.
_FEW = 0.5


def spread_sentence(by: str, rates: Sequence[GroupRate], p: float, *, sign: str = "=") -> str:
    """Say from which values the mistakes come: those above the rest beyond doubt, else those above it at all.

    Args:
        by: Name of the column.
        rates: All its values, the highest rate first.
        p: The p-value of an even spread, adjusted for the number of columns.
        sign: How it relates to the true one, `=` or `≤`.

    Returns:
        A sentence.

    >>> own = dict(lower=0.0, upper=1.0, excess_upper=1.0)
    >>> cells = [(6, 0.1), (6, 0.1), (0, -1.0), (0, -1.0), (0, -1.0)]  # mistakes, and the lower bound of their excess
    >>> rates = [
    ...     GroupRate(value=str(i), n=9, errors=e, rate=e / 9, share=e / 12, excess=low, excess_lower=low, **own)
    ...     for i, (e, low) in enumerate(cells)
    ... ]
    >>> spread_sentence("recording", rates, 0.001)
    'all 12 errors come from recordings 0 and 1 (2 of 5 values, 40% of the rows): p = 0.001 if they fell evenly'
    """
    total, rows = sum(rate.errors for rate in rates), sum(rate.n for rate in rates)
    behind = f": p {sign} {p:.2g} if they fell evenly"
    which = [rate for rate in rates if rate.excess_lower > 0][:_MOST_NAMES]
    if not which:
        above = [rate for rate in rates if rate.errors and rate.excess > 0]
        few = len(above) <= _FEW * len(rates) and len(above) <= _MOST_NAMES
        which = above if above and few else [max(rates, key=_surplus)]
    found = sum(rate.errors for rate in which)
    what = f"all {total} errors come" if found == total else f"{found} of {total} errors ({found / total:.0%}) come"
    if total == 1 and found:
        what = "the only error comes"
    part = sum(rate.n for rate in which) / rows
    names = _joined([rate.value for rate in which])
    noun = by if len(which) == 1 else _plural(by)
    return f"{what} from {noun} {names} ({len(which)} of {len(rates)} values, {part:.0%} of the rows){behind}"


def _surplus(rate: GroupRate) -> float:
    """Errors beyond those that the rest's rate explains."""
    return rate.excess * rate.n


def _plural(noun: str) -> str:
    """A column's name as of several values; one that ends in no small letter is no word to bend."""
    if not noun[-1:].isascii() or not noun[-1:].islower():
        return noun
    if noun.endswith("y") and noun[-2:-1] not in ("", *"aeiou"):
        return f"{noun[:-1]}ies"
    return f"{noun}es" if noun.endswith(("s", "x", "z", "ch", "sh")) else f"{noun}s"


def _joined(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
