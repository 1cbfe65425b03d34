"""What a command shows: a readable table, or one JSON object; and how it ends when work fails."""

from __future__ import annotations

import json
import logging
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sargraph.core.errors import SargraphError

if TYPE_CHECKING:
    import pandas as pd

    from sargraph.evaluation.report import Report
    from sargraph.neighbours.neighbours import Neighbours
    from sargraph.pipeline.grid.outcome import GridOutcome
    from sargraph.pipeline.run import Outcome


def guarded(command: Callable[[], Any]) -> None:
    """Run a command; a failure becomes one line on standard error and an exit status.

    1 = the work failed, 2 = wrong arguments or bad input. `SARGRAPH_DEBUG=1` shows the traceback.
    """
    logging.basicConfig(format="%(message)s", stream=sys.stderr)
    logging.getLogger("sargraph").setLevel(logging.INFO)  # what libraries load is no one's news
    try:
        command()
    except SargraphError as error:
        _fail(str(error), error.exit_code)
    except KeyboardInterrupt:
        _fail("interrupted; the same command with --resume goes on", 1)
    except Exception as error:
        if os.environ.get("SARGRAPH_DEBUG"):
            raise
        _fail(f"{type(error).__name__}: {error} (SARGRAPH_DEBUG=1 shows where)", 1)


def facts(title: str, values: Mapping[str, Any], as_json: bool) -> None:
    """Show named values."""
    if as_json:
        _print_json({"title": title, **values})
        return
    width = max((len(name) for name in values), default=0)
    lines = [f"{name.replace('_', ' '):<{width}}  {_readable(v)}" for name, v in values.items()]
    _print("\n".join([title, *lines]))


def frame(title: str, table: pd.DataFrame, as_json: bool) -> None:
    """Show a table."""
    if as_json:
        _print_json({"title": title, "rows": json.loads(table.to_json(orient="records"))})
        return
    from rich.console import Console
    from rich.table import Table

    shown = Table(title=title, title_justify="left", title_style="bold", header_style="")
    for column in table.columns:
        numeric = table[column].dtype.kind in "fiu"
        # Spaces let a long heading wrap where an underscore would be cut off.
        heading = str(column).replace("_", " ")
        shown.add_column(heading, justify="right" if numeric else "left")
    for row in table.itertuples(index=False):
        shown.add_row(*(_readable(value) for value in row))
    Console(width=None if sys.stdout.isatty() else 140, markup=False, highlight=False).print(shown)


def rows(title: str, records: Sequence[Mapping[str, Any]], as_json: bool) -> None:
    """Show records of one shape as a table."""
    import pandas as pd

    frame(title, pd.DataFrame(list(records)), as_json)


def neighbours(title: str, found: Neighbours, with_evidence: bool, as_json: bool) -> None:
    """Show similar users; for machines always with all evidence."""
    if as_json:
        answer = found.to_dict()
        _print_json({"title": title, "rows": answer.pop("neighbours"), **answer})
        return
    table = found.to_frame()
    evidence = [name for name in table if str(name).startswith("shared_") or name == "transitions"]
    # A log without categories or without a clock has nothing to say there.
    gone = [name for name in evidence if not with_evidence or not table[name].any()]
    frame(title, table.drop(columns=gone), False)


def report(title: str, found: Report, as_json: bool) -> None:
    """Show an evaluation: figures, verdicts and the protocol."""
    if as_json:
        _print_json({"title": title, "figures": found.to_frame().to_dict(orient="records")})
        return
    _print(f"{found.to_text(140)}{title}")


def written(paths: Sequence[Path], as_json: bool) -> None:
    """Say which files were written; machines know, for they named them."""
    for path in () if as_json else paths:
        _print(f"written: {path}")


def outcome(result: Outcome | GridOutcome, as_json: bool) -> None:
    """Show what a run found, and where its report is."""
    if as_json:
        _print_json(result.to_dict())
        return
    for title, table in result.tables.items():
        frame(title, table, False)
    for line in result.remarks:
        _print(line)
    _print(f"report: {result.page}")


def _readable(value: object) -> str:
    if isinstance(value, float):
        return "-" if value != value else f"{value:.4f}".rstrip("0").rstrip(".")
    if isinstance(value, bool):
        return str(value)
    return f"{value:,}" if isinstance(value, int) else str(value)


def _print(text: str) -> None:
    sys.stdout.write(text + "\n")


def _print_json(value: Any) -> None:
    _print(json.dumps(_without_nan(value), ensure_ascii=False, default=str, allow_nan=False))


def _without_nan(value: Any) -> Any:
    """The same value with null for NaN, which JSON does not know."""
    if isinstance(value, Mapping):
        return {key: _without_nan(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_without_nan(inner) for inner in value]
    return None if isinstance(value, float) and value != value else value


def _fail(line: str, status: int) -> None:
    sys.stderr.write(f"error: {' '.join(line.split())}\n")
    raise SystemExit(status)
