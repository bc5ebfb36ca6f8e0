"""The counts of a model as `robust cost` prints them.

Everything heavy is imported inside the functions: `robust --help` answers at once.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.table import Table

    from robust.commands.model_cost import CostReport
    from robust.costing.whole_model import ModelCost
    from robust.measurement import Measurement


def show(report: "CostReport") -> None:
    """Print the layers, the totals, the times, what could not be counted, the budgets and the conventions.

    Args:
        report: What was found.
    """
    from rich.text import Text

    from robust.costing.words import counted
    from robust.report.screen import Screen
    from robust.report.wording import printable

    console, found = Screen(highlight=False), report.found
    console.print(_table(found))
    batch = "" if found.rows == 1 else f" for a batch of {found.rows} rows"
    peak = f" (fullest in {found.peak_at})" if found.peak_at else ""
    lines = [
        f"MACC        {_shown(found.macc)}{_per(found)}",
        f"parameters  {_shown(found.parameters)}",
        f"ROM         {_memory(found.rom)}",
        f"RAM         {_memory(found.ram)} with inputs and outputs{batch}{peak}",
        f"            {_memory(found.ram_without_io)} without them",
    ]
    if report.latency is not None:
        m = report.latency
        lines.append(
            f"latency     {m.value:.3g} s a call ({m.lower:.3g} .. {m.upper:.3g} s, {counted(m.n, 'call')}, this host)"
        )
        lines += [f"            {check.reason}" for check in m.validity if not check.passed]
        lines += [
            f"layer time  {layer.median:.3g} s (quartiles {layer.lower:.3g} .. {layer.upper:.3g} s) {layer.name}"
            for layer in report.layer_times
        ]
        if report.layer_times:
            lines.append("note        layers are watched one by one, and take longer than in a call")
    lines += [f"uncounted   {item.name} ({item.kind}): {item.reason}" for item in found.uncounted]
    lines += [f"budget      {name} {verdict}" for name, verdict in report.budgets]
    lines += [f"note        {note}" for note in found.notes]
    if report.latency is not None or found.macc.value > 0:
        from robust.costing.whole_model import NO_RELATION

        lines.append(f"note        {NO_RELATION}")
    for line in lines:
        console.print(Text(printable(line)), soft_wrap=True)


def _table(found: "ModelCost") -> "Table":
    """One row a layer."""
    from rich.table import Table
    from rich.text import Text

    from robust.report.wording import printable

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for column in ("layer", "kind"):
        table.add_column(column, overflow="fold")
    for column in ("MACC", "parameters", "ROM bytes", "output bytes"):
        table.add_column(column, justify="right", no_wrap=True)
    for layer in found.layers:
        macc = "uncounted" if layer.macc is None else f"{layer.macc:,.6g}" if layer.macc % 1 else f"{layer.macc:,.0f}"
        numbers = [macc, f"{layer.parameters:,}", f"{layer.rom:,}", f"{layer.output:,}"]
        table.add_row(*(Text(printable(cell)) for cell in (layer.name, layer.kind, *numbers)))
    return table


def _shown(m: "Measurement") -> str:
    number = plain_number(m)
    return "not counted" if number is None else f"{number:,}{_least(m)}"


def _per(found: "ModelCost") -> str:
    """What the multiply-accumulates belong to."""
    if plain_number(found.macc) is None:
        return ""
    return " a call" if found.whole_call else " a sample"


def _memory(m: "Measurement") -> str:
    number = plain_number(m)
    if number is None:
        return "not counted"
    return f"{number:,} {'byte' if number == 1 else 'bytes'} ({number / 1024:,.1f} KiB){_least(m)}"


def _least(m: "Measurement") -> str:
    """A mark on figures that something is missing from."""
    return "" if all(check.passed for check in m.validity) else " at least"


def plain_number(m: "Measurement", field: str = "value") -> float | int | None:
    """A number as JSON has it.

    Args:
        m: A measurement.
        field: `value`, or a bound.

    Returns:
        A whole number where it is one, None for NaN and where there is no bound.
    """
    number = float(getattr(m, field))
    if number - number != 0:  # NaN, or no bound
        return None
    return int(number) if number == int(number) else number
