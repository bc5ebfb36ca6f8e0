"""What a check is, for people."""

import inspect

from robust.check import Check


def explain_check(check: Check) -> str:
    """A page about one check: what it measures, why, what to do, what it needs, how to call it.

    Args:
        check: The check.

    Returns:
        Text.
    """
    signature = str(inspect.signature(check.measure))
    document = inspect.cleandoc(check.measure.__doc__ or "")
    blocks = [
        f"{check.code}  {check.name}: {check.title}",
        f"Why\n  {check.why}",
        f"If the answer is bad\n  {check.remedy}",
    ]
    if check.needs:
        blocks.append(f"Needs\n  {', '.join(sorted(check.needs))}")
    blocks.append(f"In Python\n  {check.name}{signature}")
    blocks.append(document)
    return "\n\n".join(blocks)
