"""The command line: one function per command, each a thin call of the library."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sargraph import judging, options, screen, vectors

app = typer.Typer(
    name="sargraph",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Join search and recommendation logs in one user-query-item graph.",
)


@app.command()
def simulate(
    out: Annotated[Path, typer.Argument(help="Folder for the raw logs.")],
    users: Annotated[int | None, typer.Option(help="Number of users [2000].")] = None,
    days: Annotated[int | None, typer.Option(help="Number of days [30].")] = None,
    preset: Annotated[str, typer.Option(help="Named world, such as kuaisar or null.")] = "planted",
    format: Annotated[str, typer.Option(help="kuaisar (CSV) or parquet.")] = "kuaisar",
    seed: options.Seed = 0,
    settings: options.Set = None,
    json: options.Json = False,
) -> None:
    """Write the logs of a planted world in KuaiSAR's file format, with its truth beside them.

    Example: sargraph simulate logs --users 500 --days 14 --preset kuaisar
    """
    from sargraph.pipeline.commands import simulate_world

    summary = simulate_world(out, users, days, seed, preset, format, settings or [])
    screen.facts(f"logs in {out}", summary, json)


@app.command()
def ingest(
    recipe: Annotated[str, typer.Argument(help="A shipped recipe's name, or a path.")],
    source: Annotated[Path, typer.Option(help="Folder of the raw logs.")],
    out: options.Out,
    seed: options.Seed = 0,
    threads: Annotated[int, typer.Option(min=0, help="Threads that read (0 = all cores).")] = 0,
    memory_limit: Annotated[str, typer.Option(help="Memory for reading, such as 4GB.")] = "1GB",
    settings: options.Set = None,
    json: options.Json = False,
) -> None:
    """Read raw logs by a recipe into events; every row is used, merged, filtered or quarantined.

    Example: sargraph ingest kuaisar --source KuaiSAR_v2 --out events --set duplicates=count
    """
    from sargraph.pipeline.commands import ingest_logs

    table = ingest_logs(recipe, source, out, seed, settings or [], memory_limit, threads)
    screen.frame(f"events in {out}", table, json)


@app.command()
def describe(
    artifact: Annotated[Path, typer.Argument(help="Folder of any artefact.")],
    html: Annotated[Path | None, typer.Option(help="Write an HTML page as well.")] = None,
    markdown: Annotated[Path | None, typer.Option(help="Write it as Markdown as well.")] = None,
    json: options.Json = False,
) -> None:
    """Say what an artefact holds; of events a card: what they can decide, plots, every fate.

    Example: sargraph describe events --html card.html
    """
    from sargraph.pipeline.describe import describe_artifact, write_descriptions

    screen.frame(*describe_artifact(artifact), json)
    screen.written(write_descriptions(artifact, html, markdown), json)


@app.command()
def build(
    events: options.EventsDir,
    out: options.Out,
    everything: Annotated[
        bool,
        typer.Option("--all-events", help="Use held-out events too (for serving, not judging)."),
    ] = False,
    settings: options.Set = None,
    json: options.Json = False,
) -> None:
    """Build the user-query-item graph from the training events.

    Example: sargraph build events --out graph
    """
    from sargraph.pipeline.commands import build_from

    made = build_from(events, out, everything, settings or [])
    screen.frame(f"graph in {out}", made.describe(), json)


@app.command()
def train(
    graph: options.GraphDir,
    out: options.Out,
    model: Annotated[str, typer.Option(help="Embedding model.")] = "uditsr",
    events: Annotated[
        Path | None, typer.Option(help="Events for validation, so that training stops in time.")
    ] = None,
    start: Annotated[
        Path | None, typer.Option(help="Older embeddings of the same model to begin with.")
    ] = None,
    seed: options.Seed = 0,
    settings: options.Set = None,
    resume: options.Resume = False,
    json: options.Json = False,
) -> None:
    """Train graph embeddings.

    Example: sargraph train graph --model uditsr --events events --out embeddings --set dim=64

    Example: sargraph train new-graph --start embeddings --out new-embeddings --set dim=64
    """
    from sargraph.pipeline.models import train_embeddings

    embeddings = train_embeddings(graph, out, model, events, seed, settings or [], resume, start)
    screen.rows(f"embeddings in {out}", embeddings.history, json)


app.command()(vectors.virtualise)
app.command("explain-edge")(vectors.explain_edge)
app.command("embed-new")(vectors.embed_new)
app.command()(vectors.export)
app.command()(vectors.nearest)


@app.command()
def fit(
    events: options.EventsDir,
    out: options.Out,
    model: Annotated[str, typer.Option(help="Sequence model.")] = "unisar",
    init: Annotated[Path | None, typer.Option(help="Embeddings to start from.")] = None,
    seed: options.Seed = 0,
    settings: options.Set = None,
    resume: options.Resume = False,
    json: options.Json = False,
) -> None:
    """Fit a sequence model on histories of both sources.

    Example: sargraph fit events --model unisar --init embeddings --out model
    """
    from sargraph.pipeline.models import fit_model

    fitted = fit_model(events, out, model, init, seed, settings or [], resume)
    screen.rows(f"sequence model in {out}", fitted.history, json)


app.command()(judging.evaluate)
app.command()(judging.compare)


@app.command()
def index(
    events: options.EventsDir,
    out: options.Out,
    everything: Annotated[
        bool, typer.Option("--everything", help="Index all events, not the training part.")
    ] = False,
    settings: options.Set = None,
    json: options.Json = False,
) -> None:
    """Index the users' histories for `similar`.

    Example: sargraph index events --out users

    Example: sargraph index events --out users --set profile.source=search --set measure=jaccard
    """
    from sargraph.pipeline.commands import index_from

    made = index_from(events, out, everything, settings or [])
    screen.frame(f"index in {out}", made.describe(), json)


@app.command()
def similar(
    index: Annotated[Path, typer.Argument(help="Folder of an index.")],
    user_id: options.OptionalUserId = None,
    k: Annotated[int, typer.Option("-k", help="Number of neighbours.")] = 10,
    history: Annotated[
        Path | None,
        typer.Option(help="CSV of events (item_id, query, time, source) instead of a user."),
    ] = None,
    fast: Annotated[
        bool, typer.Option("--fast", help="Read the heaviest postings only; not exact.")
    ] = False,
    explain: Annotated[
        bool, typer.Option("--explain", help="Show what is shared, and its part of the whole.")
    ] = False,
    json: options.Json = False,
) -> None:
    """Find the users whose histories are most similar.

    Example: sargraph similar users 2 -k 5 --explain

    Example: sargraph similar users --history history.csv
    """
    from sargraph.pipeline.commands import similar_from

    screen.neighbours(*similar_from(index, user_id, history, k, fast), explain, json)


@app.command()
def run(
    config: Annotated[Path, typer.Argument(help="TOML file of a run, or of a grid of cells.")],
    out: Annotated[Path, typer.Option("--out", help="Folder of runs.")] = Path("runs"),
    cells: Annotated[
        Path | None, typer.Option(help="Folder of a grid's cells, shared by all [OUT/cells].")
    ] = None,
    plan: Annotated[
        bool, typer.Option("--plan", help="Of a grid: say what it will take, and stop.")
    ] = False,
    settings: options.Set = None,
    json: options.Json = False,
) -> None:
    """Walk the whole road by one configuration; finished stages and cells are taken up again.

    Example: sargraph run experiments/main_road_lastfm/config.toml --set train.config.num_epochs=3

    Example: sargraph run experiments/baselines/config.toml --plan
    """
    from sargraph.pipeline.run import plan_file, run_file

    if plan:
        screen.frame(*plan_file(config, out, settings or [], cells), json)
    else:
        screen.outcome(run_file(config, out, settings or [], cells), json)


@app.command()
def quickstart(
    out: Annotated[Path, typer.Option("--out", help="Folder for everything.")] = Path("quickstart"),
    users: Annotated[int, typer.Option(help="Number of simulated users.")] = 1000,
    days: Annotated[int, typer.Option(help="Number of simulated days.")] = 21,
    seed: options.Seed = 0,
    settings: options.Set = None,
    json: options.Json = False,
) -> None:
    """Simulate a platform and walk the whole road to a finished report.

    Example: sargraph quickstart --users 500 --days 14
    """
    from sargraph.pipeline.quickstart import quickstart as work

    screen.outcome(work(out, users, days, seed, settings or []), json)


@app.command()
def doctor(json: options.Json = False) -> None:
    """Print versions, threads, memory and data folders.

    Example: sargraph doctor
    """
    from sargraph.pipeline.doctor import examine

    screen.facts("this installation", examine(), json)


def main() -> None:
    """Entry point: run a command; failures become one line and an exit status."""
    screen.guarded(app)
