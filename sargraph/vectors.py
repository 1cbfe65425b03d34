"""The commands on trained embeddings: virtual queries, new ids, files for other tools."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sargraph import options, screen


def virtualise(
    graph: options.GraphDir,
    embeddings: options.EmbeddingsDir,
    out: options.Out,
    k: Annotated[int, typer.Option("-k", help="Nearest queries and terms kept per edge.")] = 5,
    json: options.Json = False,
) -> None:
    """Give every recommendation edge its virtual query.

    Example: sargraph virtualise graph embeddings --out virtual
    """
    from sargraph.pipeline.models import virtualise_from

    made = virtualise_from(graph, embeddings, out, k)
    screen.frame(f"graph with virtual queries in {out}", made.describe(), json)


def explain_edge(
    graph: options.GraphDir,
    user_id: options.UserId,
    item_id: Annotated[str, typer.Argument(help="Item id.")],
    json: options.Json = False,
) -> None:
    """Read the virtual query of one recommendation edge.

    Example: sargraph explain-edge virtual 2 51
    """
    from sargraph.pipeline.models import explain_from

    screen.rows("virtual query", explain_from(graph, user_id, item_id), json)


def embed_new(
    embeddings: options.EmbeddingsDir,
    events: options.EventsDir,
    out: options.Out,
    everything: Annotated[
        bool,
        typer.Option("--all-events", help="Read held-out events too (for serving, not judging)."),
    ] = False,
    as_of: Annotated[
        int | None, typer.Option(help="Read only events strictly before this time.")
    ] = None,
    json: options.Json = False,
) -> None:
    """Give the new users, items, queries and terms of events a vector, without a training.

    Example: sargraph embed-new embeddings new-events --out placed
    """
    from sargraph.pipeline.embed_new import embed_new_from

    table = embed_new_from(embeddings, events, out, everything, as_of)
    screen.frame(f"embeddings in {out}", table, json)


def export(
    embeddings: options.EmbeddingsDir,
    to: Annotated[str, typer.Option(help="parquet, npy, safetensors, csv, word2vec, faiss[-dot].")],
    out: Annotated[Path, typer.Option("--out", help="Folder for the files.")],
    json: options.Json = False,
) -> None:
    """Write embeddings with their ids to files that other tools read.

    Example: sargraph export embeddings --to parquet --out tables
    """
    from sargraph.embedding.embeddings import Embeddings

    screen.facts("embeddings", {"written": str(Embeddings.load(embeddings).export(out, to))}, json)


def nearest(
    embeddings: options.EmbeddingsDir,
    kind: Annotated[str, typer.Argument(help="user, item, query or term.")],
    id_: Annotated[str, typer.Argument(metavar="ID", help="The id whose neighbours are asked.")],
    k: Annotated[int, typer.Option("-k", help="How many.")] = 10,
    target: Annotated[str | None, typer.Option(help="Kind to search in [the same].")] = None,
    method: Annotated[str, typer.Option(help="flat (exact), hnsw or ivf.")] = "flat",
    seed: options.Seed = 0,
    settings: options.Set = None,
    json: options.Json = False,
) -> None:
    """List the ids whose vectors are nearest to one; approximate answers state their recall.

    Example: sargraph nearest embeddings item 51 -k 5
    """
    from sargraph.pipeline.nearest import nearest_from

    found = nearest_from(embeddings, kind, id_, k, target, method, seed, settings or [])
    screen.frame(*found, json)
