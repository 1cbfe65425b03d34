"""Vectors for the new ids of saved events, placed by saved embeddings."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from sargraph.embedding.embeddings import Embeddings
from sargraph.events.events import Events
from sargraph.events.split import split_events


def embed_new_from(
    embeddings: Path, events_path: Path, out: Path, everything: bool, as_of: int | None
) -> pd.DataFrame:
    """Place by the training events (or by all), save; one line per kind: hot, warm and cold ids.

    Raises ArtifactError for folders of other kinds, and what `embed_new` raises.
    """
    events = Events.load(events_path)
    split = None if everything else split_events(events)
    placed = Embeddings.load(embeddings).embed_new(events, split=split, as_of=as_of).save(out)
    counts = placed.report["embed_new"]
    return pd.DataFrame([{"kind": kind, **counts[kind]} for kind in placed.tables])
