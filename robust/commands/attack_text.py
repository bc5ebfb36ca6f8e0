"""What `robust attack` prints, as text and as plain data.

Everything heavy is imported inside the functions: `robust --help` answers at once.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from robust.attacks.adversarial_examples import AttackedRows
    from robust.commands.attack_model import AttackReport
    from robust.data.budget import Eps
    from robust.measurement import Measurement

_FRAGILE = 5
_FEATURES = 4


def plain_report(report: "AttackReport") -> dict[str, Any]:
    """The report as plain data.

    Args:
        report: What was found.
    """
    rows, curve, verdict = report.rows, report.curve, report.verdict
    return {
        "model": report.model,
        "data": rows.data.name,
        "robust_accuracy": _plain(report.accuracy),
        "clean_accuracy": float(rows.right.mean()),
        "eps": dict(report.eps) if isinstance(report.eps, Mapping) else report.eps,
        "eps_chosen": report.chosen,
        "norm": rows.norm,
        "asked": report.asked,
        "noise_floor_broken": rows.floor,
        "attacks": [
            {"name": item.name, "broken": item.broken, "forward": item.forward, "backward": item.backward}
            for item in rows.bought
        ],
        "failed_self_checks": _failed(report.accuracy),
        "fragile_size_in": rows.unit,
        "fragile": [_plain_row(rows, position, report.eps) for position in rows.fragile(_FRAGILE)],
        "curve": None
        if curve is None
        else [
            {"eps": eps, **_plain(m), "failed_self_checks": _failed(m)}
            for eps, m in zip(curve.grid.tolist(), curve.points, strict=True)
        ],
        "minimal": None
        if report.minimal is None
        else {**_plain(report.minimal), "failed_self_checks": _failed(report.minimal)},
        "written": None if report.written is None else str(report.written),
        "a_pass_means": next(iter(_meaning(report.accuracy)), None),
        "notes": _notes(report),
        "gate": None
        if verdict is None
        else {"limit": verdict.limit, "operator": verdict.operator, "status": verdict.status, "reason": verdict.reason},
        "seed": report.accuracy.provenance.seed,
        "exit_code": report.exit_code,
    }


def _notes(report: "AttackReport") -> list[str]:
    """What a reader must know: of the options, of the model, and which rows it does not answer."""
    from robust.attacks.outcome_evidence import of_loss
    from robust.evidence import Finding, Rows
    from robust.measures.unanswered import of_silence

    # What the attacks did to accuracy is said above, in numbers.
    told = [item for item in report.accuracy.evidence if not of_loss(item)]
    notes = [*report.notes, *[item.text for item in told if isinstance(item, Finding)]]
    for item in told:
        if isinstance(item, Rows) and of_silence(item):
            more = f" and {item.total - len(item.ids)} more" if item.total > len(item.ids) else ""
            notes.append(f"{item.what}: {', '.join(map(str, item.ids))}{more}")
    return notes


def _meaning(m: "Measurement") -> list[str]:
    """What a pass says, and no more; nothing where no row was right."""
    from robust.attacks.outcome_evidence import MEANING
    from robust.evidence import Fact

    return [str(item.value) for item in m.evidence if isinstance(item, Fact) and item.name == MEANING]


def _plain(m: "Measurement") -> dict[str, Any]:
    from robust.commands.cost_text import plain_number

    numbers = {part: plain_number(m, part) for part in ("value", "lower", "upper")}
    return {**numbers, "level": m.level, "n": m.n, "method": m.method}


def _failed(m: "Measurement") -> list[dict[str, str]]:
    return [
        {"name": check.name, "reason": check.reason, "bias": check.bias} for check in m.validity if not check.passed
    ]


def _faults(m: "Measurement") -> list[str]:
    """A line for each check that failed; those that take no pass away are warnings."""
    kinds = {True: "warning", False: "self-check failed"}
    return [f"{kinds[check['bias'] == 'none']}: {check['name']}: {check['reason']}" for check in _failed(m)]


def _plain_row(rows: "AttackedRows", position: int, eps: "Eps") -> dict[str, Any]:
    import numpy as np

    from robust.measures.details import row_ids

    changes = feature_changes(rows, position, eps)
    return {
        "id": row_ids(rows.data, np.array([position]))[0],
        "size": float(rows.size[position]),
        "class_before": rows.before[position],
        "class_after": rows.after[position],
        "features_changed": len(changes),
        "changes": [list(change) for change in changes] if len(rows.data.schema.shape) == 1 else [],
    }


def feature_changes(rows: "AttackedRows", position: int, eps: "Eps") -> list[tuple[str, str, str]]:
    """What an attack had to change in one row, in the user's units: feature, before, after.

    Args:
        rows: Rows before and after.
        position: Which of them.
        eps: The budget.
    """
    from robust.attacks.gallery_changes import changed_features

    schema, one = rows.data.schema, slice(position, position + 1)
    return changed_features(schema.flat(rows.data.x[one])[0], schema.flat(rows.near[one])[0], schema, eps)


def report_text(report: "AttackReport") -> str:
    """What is printed: the figure, what each attack bought, failed checks, fragile rows, curve, minimal, the verdict.

    Args:
        report: What was found.
    """
    from robust.report.wording import printable

    rows = report.rows
    broken, right = int(rows.broken.sum()), int(rows.right.sum())
    lines = [
        str(report.accuracy),
        f"clean accuracy {rows.right.mean():.4f}; {broken} of {right} right rows broken",
        f"eps {_budget(report.eps)} in {rows.norm}"
        + ("" if report.chosen else " (default: 3 % of a bounded feature's range, 10 % of another's deviation)"),
        f"asked: {report.asked}",
        *[
            f"a pass means: {text.partition(':')[0]}; a stronger one may find more"
            for text in _meaning(report.accuracy)
        ],
        "",
        *_bought(rows),
        "",
        *_faults(report.accuracy),
        *_fragile(rows, report.eps),
    ]
    if report.curve is not None:
        table = [["eps", "robust accuracy", "lower", "upper"]]
        for eps, m in zip(report.curve.grid.tolist(), report.curve.points, strict=True):
            table.append([f"{eps:.6g}", f"{m.value:.4f}", f"{m.lower:.4f}", f"{m.upper:.4f}"])
        lines += ["", *_aligned(table)]
        faults = dict.fromkeys(f"{c['name']}: {c['reason']}" for m in report.curve.points for c in _failed(m))
        lines += [f"self-check of the curve failed: {fault}" for fault in faults]
    if report.minimal is not None:
        lines += ["", f"median {report.minimal}"]
        lines += _faults(report.minimal)
    lines += [f"note: {note}" for note in _notes(report)]
    lines += [f"written: {report.written} (x_adv, ids, y, broken)"] if report.written is not None else []
    lines += ["", f"robust accuracy: {report.verdict}"] if report.verdict is not None else []
    return "\n".join(printable(line) for line in lines)


def _budget(eps: "Eps") -> str:
    """A budget in words; the first of many names."""
    if not isinstance(eps, Mapping):
        return f"{eps:.6g}"
    shown = ", ".join(f"{name}={amount:.6g}" for name, amount in list(eps.items())[:_FEATURES])
    return shown + (f" and {len(eps) - _FEATURES} more" if len(eps) > _FEATURES else "")


def _bought(rows: "AttackedRows") -> list[str]:
    """A line for each attack: rows that it broke, passes a row of all that were right."""
    right = max(int(rows.right.sum()), 1)
    table = [["attack", "rows broken", "forward a row", "backward a row"]]
    if rows.floor is not None:
        table.append(["noise floor", str(rows.floor), "", ""])
    for item in rows.bought:
        table.append([item.name, str(item.broken), f"{item.forward / right:.3g}", f"{item.backward / right:.3g}"])
    return _aligned(table) if len(table) > 1 else ["no row is right before the attack"]


def _fragile(rows: "AttackedRows", eps: "Eps") -> list[str]:
    """The rows that broke by the smallest change, and what was changed in tables."""
    positions = rows.fragile(_FRAGILE)
    if len(positions) == 0:
        return ["no row was broken"]
    from robust.measures.details import row_ids

    table = [["fragile row", rows.unit.replace(" norm of the", ""), "class", "changed"]]
    for position, row in zip(positions, row_ids(rows.data, positions), strict=True):
        classes = f"{rows.before[position]} → {rows.after[position]}"
        changes = feature_changes(rows, position, eps)
        if len(rows.data.schema.shape) == 1:
            shown = "; ".join(f"{name}: {before} → {after}" for name, before, after in changes[:_FEATURES])
            shown += f"; {len(changes) - _FEATURES} more" if len(changes) > _FEATURES else ""
        else:
            shown = f"{len(changes)} of {rows.data.schema.width} features"
        table.append([str(row), f"{rows.size[position]:.4g}", classes, shown])
    return _aligned(table)


def _aligned(table: Sequence[Sequence[str]]) -> list[str]:
    """Rows of cells as lines, a column as wide as its widest cell."""
    widths = [max(len(row[k]) for row in table) for k in range(len(table[0]))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in table]
