"""What a check is, for people."""

import dataclasses
import inspect
import json
import textwrap
from collections.abc import Iterable
from typing import Any

from robust.check import Check

_WIDTH = 100


def list_as_text(checks: Iterable[Check]) -> str:
    """One line a check: code, name, title, needs."""
    lines = []
    for check in checks:
        conditions = _conditions(check)
        lines.append(f"{check.code}  {check.name:<28} {check.title}{f'  [{conditions}]' if conditions else ''}\n")
    return "".join(lines)


def list_as_json(checks: Iterable[Check]) -> str:
    """The same as a JSON array."""
    return _json([_row(check) for check in checks])


def explain_as_json(check: Check) -> str:
    """A page about one check as a JSON object; an option has its default."""
    options = dataclasses.fields(check.options) if check.options else ()
    return _json(
        _row(check)
        | {
            "why": check.why,
            "remedy": check.remedy,
            "options": {field.name: field.default for field in options},
            "documentation": inspect.cleandoc(check.measure.__doc__ or ""),
        }
    )


def explain_check(check: Check) -> str:
    """A page about one check: what it measures, why, what to do, what it needs, what a gate may set.

    Args:
        check: The check.

    Returns:
        Text, at most 100 columns wide.
    """
    blocks = [
        f"{check.code}  {check.name}: {check.title}",
        _paragraph("Why", check.why),
        _paragraph("If the answer is bad", check.remedy),
    ]
    if conditions := _conditions(check):
        blocks.append(_paragraph("When it runs", conditions))
    if check.options is not None:
        options = [f"{field.name} = {field.default!r}" for field in dataclasses.fields(check.options)]
        blocks.append(_paragraph("A gate may set", ", ".join(options)))
    blocks.append(f"In Python\n  {_call(check)}")
    blocks.append(inspect.cleandoc(check.measure.__doc__ or ""))
    return "\n\n".join(blocks)


def _conditions(check: Check) -> str:
    """For whom a check is, what it needs, and whether a gate must ask for it."""
    return "; ".join(
        part
        for part in (
            f"for {check.audience}" if check.audience else "",
            f"needs {', '.join(check.inputs)}" if check.inputs else "",
            "where a gate asks for it" if check.by_request else "",
        )
        if part
    )


def _row(check: Check) -> dict[str, Any]:
    named = {"code": check.code, "name": check.name, "title": check.title}
    return named | {"tasks": list(check.tasks), "needs": list(check.inputs)}


def _json(content: object) -> str:
    return f"{json.dumps(content, indent=2, default=repr)}\n"


def _paragraph(title: str, text: str) -> str:
    body = textwrap.fill(text, _WIDTH, initial_indent="  ", subsequent_indent="  ", break_on_hyphens=False)
    return f"{title}\n{body}"


def _call(check: Check) -> str:
    """How the measure is called: names and defaults, types are in the text below."""
    parts, keyword_only = [], False
    for parameter in inspect.signature(check.measure).parameters.values():
        if parameter.kind is parameter.KEYWORD_ONLY and not keyword_only:
            parts.append("*")
            keyword_only = True
        default = "" if parameter.default is parameter.empty else f"={parameter.default!r}"
        parts.append(parameter.name + default)
    call = f"{check.name}({', '.join(parts)})"
    return textwrap.fill(call, _WIDTH, subsequent_indent="      ", break_on_hyphens=False)
