"""Starting from embeddings: rows go by id, what is missing stays and is counted."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

from sargraph.core.errors import BadInputError, ConfigError
from sargraph.core.ragged import Ragged
from sargraph.embedding.embeddings import Embeddings
from sargraph.events.events import Events
from sargraph.events.vocabulary import Vocabulary
from sargraph.sequence.start import start_from
from sargraph.sequence.unisar_family import UniSARFamily, UniSARTraining

Make = Callable[..., Events]
FAMILY = UniSARFamily()


def embeddings(dim: int = 32, users: tuple[str, ...] = ("u3", "nobody", "u1")) -> Embeddings:
    ids = {"user": users, "item": ("i0", "i5"), "query": ("q0",), "term": ("t8",)}
    rng = np.random.default_rng(1)
    return Embeddings(
        tables={k: rng.normal(size=(len(v), dim)).astype(np.float32) for k, v in ids.items()},
        vocabularies={kind: Vocabulary(names) for kind, names in ids.items()},
        query_terms=Ragged.from_lists([[0]]),
        model="uditsr",
        config={},
        seed=0,
    )


def test_rows_are_matched_by_id_and_the_others_counted(random_events: Make) -> None:
    events, init = random_events(0), embeddings()
    fresh = FAMILY.build(events, UniSARTraining(), 3)
    started = FAMILY.build(events, UniSARTraining(), 3)
    report = start_from(FAMILY.id_tables(started), events.vocabularies, init, "as_is")
    assert report == {
        "user": {"matched": 2, "missing": 4},
        "item": {"matched": 2, "missing": 10},
        "term": {"matched": 1, "missing": 8},
    }
    before, after = FAMILY.id_tables(fresh)["user"].weight, FAMILY.id_tables(started)["user"].weight
    given = torch.from_numpy(init.tables["user"])
    assert torch.equal(after[3], given[0]) and torch.equal(after[1], given[2])
    untouched = [0, 2, 4, 5]
    assert torch.equal(after[untouched], before[untouched])


def test_match_random_scales_by_one_factor(random_events: Make) -> None:
    events, init = random_events(0), embeddings()
    fresh = FAMILY.id_tables(FAMILY.build(events, UniSARTraining(), 3))["item"].weight.detach()
    started = FAMILY.build(events, UniSARTraining(), 3)
    start_from(FAMILY.id_tables(started), events.vocabularies, init, "match_random")
    got = FAMILY.id_tables(started)["item"].weight.detach()[[0, 5]].numpy()
    factors = got / init.tables["item"]
    np.testing.assert_allclose(factors, factors[0, 0], rtol=1e-5)
    mean_norm = np.linalg.norm(got, axis=1).mean()
    assert mean_norm == pytest.approx(float(fresh.norm(dim=1).mean()), rel=1e-5)


def test_dim_is_taken_from_the_embeddings_unless_set() -> None:
    init = embeddings(dim=8)
    assert FAMILY.with_dim(UniSARTraining(), init.dim).model.id_dim == 8
    by_hand = UniSARTraining.model_validate({"model": {"id_dim": 16}})
    assert FAMILY.with_dim(by_hand, init.dim).model.id_dim == 16


def test_another_width_is_refused(random_events: Make) -> None:
    events = random_events(0)
    with pytest.raises(ConfigError, match="id_dim"):
        module = FAMILY.build(events, UniSARTraining(), 0)
        start_from(FAMILY.id_tables(module), events.vocabularies, embeddings(dim=8), "as_is")


def test_embeddings_of_other_ids_are_refused(random_events: Make) -> None:
    events, init = random_events(0), embeddings(users=("x", "y", "z"))
    for kind in ("item", "term"):
        names = [f"other{row}" for row in range(len(init.vocabularies[kind]))]
        init.vocabularies[kind] = Vocabulary(names)
    with pytest.raises(BadInputError, match="no id"):
        start_from(
            FAMILY.id_tables(FAMILY.build(events, UniSARTraining(), 0)),
            events.vocabularies,
            init,
            "as_is",
        )
