"""The bar that every long verb shows, on standard error."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress


def progress_bar(console: Console, *more: str, transient: bool = True) -> Progress:
    """Make a bar with description, count, time taken and time left.

    Parameters
    ----------
    console : Console
    more : str
        Formats of further columns, of the fields given to `add_task`, as in
        ``"loss {task.fields[loss]:.2e}"``.
    transient : bool
        Gone when done; then nothing at all is shown where no terminal is.
    """
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        *(TextColumn(one) for one in more),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        console=console,
        transient=transient,
        disable=transient and not console.is_terminal,
    )
