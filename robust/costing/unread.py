"""Stored tensors that no run reads."""

from collections.abc import Mapping

from robust.costing.words import counted

_SHOWN = 3


def unread_note(sizes: Mapping[str, int]) -> str:
    """A note on stored tensors that ROM includes, and that a converter may drop.

    Args:
        sizes: Their bytes by name.

    Returns:
        A sentence with the largest of them; empty where there are none.

    >>> unread_note({"a": 4})
    "ROM includes 4 bytes of 1 stored tensor that no operator of a run reads, and a converter may drop: 'a' (4 bytes)"
    """
    if not sizes:
        return ""
    shown = sorted(sizes, key=lambda name: -sizes[name])[:_SHOWN]
    listed = ", ".join(f"{name!r} ({counted(sizes[name], 'byte')})" for name in shown)
    more = f" and {len(sizes) - _SHOWN} more" if len(sizes) > _SHOWN else ""
    return (
        f"ROM includes {counted(sum(sizes.values()), 'byte')} of {counted(len(sizes), 'stored tensor')} that no "
        f"operator of a run reads, and a converter may drop: {listed}{more}"
    )
