"""Arguments and options that several commands share, each with its one meaning."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Out = Annotated[Path, typer.Option("--out", help="Folder to write the artefact to.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object for machines.")]
Set = Annotated[
    list[str] | None, typer.Option("--set", help="Override a setting, as in num_epochs=3; repeat.")
]
Seed = Annotated[int, typer.Option("--seed", help="Seed of everything drawn.")]
EventsDir = Annotated[Path, typer.Argument(metavar="EVENTS", help="Folder of events.")]
GraphDir = Annotated[Path, typer.Argument(metavar="GRAPH", help="Folder of a graph.")]
EmbeddingsDir = Annotated[Path, typer.Argument(metavar="EMBEDDINGS", help="Folder of embeddings.")]
UserId = Annotated[str, typer.Argument(metavar="USER_ID", help="User id, as in the logs.")]
OptionalUserId = Annotated[
    str | None, typer.Argument(metavar="[USER_ID]", help="User id, as in the logs.")
]
Resume = Annotated[bool, typer.Option("--resume", help="Go on from the last checkpoint.")]
