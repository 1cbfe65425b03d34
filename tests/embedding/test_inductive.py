"""New users, items, queries and terms: placed as plain loops place them, known ones untouched."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from sargraph.core.errors import BadInputError, ConfigError
from sargraph.core.ragged import Ragged
from sargraph.core.scorer import Requests, Scorer
from sargraph.core.types import NO_ROW, NO_TIME, FloatArray
from sargraph.embedding.embeddings import KINDS, Embeddings, unit_rows
from sargraph.embedding.inductive_growth import GROWTHS, growth_of
from sargraph.embedding.inductive_scorer import scorer_for
from sargraph.embedding.scorer import scorer_of
from sargraph.embedding.train import train
from sargraph.evaluation.slices import history_lengths
from sargraph.evaluation.slices_known import item_slices, user_slices
from sargraph.events.events import Events
from sargraph.events.split import TEST, SplitConfig, requests_for, split_events
from sargraph.events.vocabulary import Vocabulary
from sargraph.graph.build import ALL_EVENTS, build_graph
from sargraph.testing.newcomers import (
    KNOWN,
    LAST_DAY,
    NUM_TOPICS,
    SIZES,
    before_the_newcomers,
    naive_places,
    newcomer_world,
)

FAST = {"dim": 8, "num_epochs": 12, "batch_size": 128, "learning_rate": 0.03}
ONCE = {"dim": 8, "num_epochs": 1}
MODELS = {
    "uditsr": {},
    "uditsr timed": {"virtual_query": "timed"},
    "uditsr published": {"parity": True},
    "uditsr constant": {"virtual_query": "constant"},
    "bpr": {},
    "lightgcn": {},
    "lightgcn queries": {"queries": True},
    "transe": {},
    "item2vec": {},
}
WORLD = newcomer_world()
OLD = before_the_newcomers(WORLD)
USERS, ITEMS = np.arange(SIZES["user"]), np.arange(SIZES["item"])
NEW_USERS = USERS[KNOWN["user"] : 58]
LATER = LAST_DAY - 5


@pytest.fixture(scope="module")
def trained() -> Embeddings:
    return train(build_graph(OLD), "uditsr", FAST, seed=1)


@pytest.fixture(scope="module")
def placed(trained: Embeddings) -> Embeddings:
    return trained.embed_new(WORLD)


@pytest.fixture(scope="module")
def once() -> Callable[[str], Embeddings]:
    """Embeddings of a case of MODELS after one epoch, trained on first use."""
    made: dict[str, Embeddings] = {}

    def get(name: str) -> Embeddings:
        if name not in made:
            config = {**ONCE, **MODELS[name]}
            made[name] = train(build_graph(OLD), name.split()[0], config, seed=1)
        return made[name]

    return get


def by_id(embeddings: Embeddings, kind: str, table: FloatArray) -> dict[str, FloatArray]:
    return dict(zip(embeddings.vocabularies[kind].ids, table, strict=True))


def asked(users: np.ndarray, query: np.ndarray | None = None) -> Requests:
    none = np.full(len(users), LAST_DAY)
    query = np.full(len(users), NO_ROW) if query is None else query
    return Requests(users, query, none, np.zeros_like(none), none)


def share_of_right_pairs(
    scorer: Scorer, users: np.ndarray, items: np.ndarray, search: bool = False
) -> float:
    """How often an item of the user's topic outranks one of another topic; .5 by chance."""
    query = users % NUM_TOPICS if search else None
    scores = scorer.score(asked(users, query), np.tile(items, (len(users), 1)))
    same = items % NUM_TOPICS == users[:, None] % NUM_TOPICS
    above = [
        (np.sign(row[own][:, None] - row[~own]) + 1).mean() / 2
        for row, own in zip(scores, same, strict=True)
    ]
    return float(np.mean(above))


# Formulas


@pytest.mark.parametrize("as_of", [None, LATER])
def test_places_are_those_of_plain_loops(trained: Embeddings, as_of: int | None) -> None:
    found = trained.embed_new(WORLD, as_of=as_of)
    query = by_id(found, "query", found.tables["query"])
    read = [e for e in range(len(WORLD)) if as_of is None or WORLD.time[e] < as_of]

    def demand(event: int) -> FloatArray | None:
        row = WORLD.query[event]
        return query[WORLD.queries.ids[row]].astype(np.float64) if row != NO_ROW else None

    for space in (
        {"user": trained.tables["user"], "item": trained.tables["item"]},
        {kind: trained.weights[f"{kind}_embedding.weight"] for kind in ("user", "item")},
    ):
        known = {kind: by_id(trained, kind, table) for kind, table in space.items()}
        expected, cold = naive_places(known, WORLD, demand, read)
        grown = found.tables
        if space["user"] is not trained.tables["user"]:
            grown = {kind: found.weights[f"{kind}_embedding.weight"] for kind in space}
        for kind in ("user", "item"):
            own = by_id(found, kind, grown[kind])
            for id_, vector in expected[kind].items():
                np.testing.assert_allclose(own[id_], vector, rtol=1e-5, atol=1e-6)
            counts = found.report["embed_new"][kind]
            assert counts["cold"] == len(cold[kind]) > 0
            assert counts["hot"] == KNOWN[kind]
            assert sum(counts.values()) == SIZES[kind]


def test_transe_places_by_its_relations(once: Callable[[str], Embeddings]) -> None:
    trained = once("transe")
    found, relation = trained.embed_new(WORLD), trained.weights["relation"]
    known = {kind: by_id(trained, kind, trained.tables[kind]) for kind in ("user", "item")}
    users = np.flatnonzero(np.isin(WORLD.user, NEW_USERS))
    for user in np.unique(WORLD.user[users]):
        total, count = np.zeros(trained.dim), 0
        for event in np.flatnonzero(WORLD.user == user):
            item = known["item"].get(WORLD.items.ids[WORLD.item[event]])
            if item is not None:
                total += item.astype(np.float64) - relation[1 if WORLD.is_search[event] else 0]
                count += 1
        row = found.vocabularies["user"].row(WORLD.users.ids[user])
        expected = total / count / np.linalg.norm(total / count)
        np.testing.assert_allclose(found.tables["user"][row], expected, rtol=1e-4, atol=1e-6)


def test_a_new_query_is_the_sum_of_its_known_words(trained: Embeddings, placed: Embeddings) -> None:
    word = by_id(trained, "term", trained.tables["term"])
    known = set(trained.vocabularies["query"].ids)
    states = {"warm": 0, "cold": 0}
    for row, terms in enumerate(WORLD.query_terms):
        id_ = WORLD.queries.ids[row]
        if id_ in known:
            continue
        vectors = [word[WORLD.terms.ids[t]] for t in terms if WORLD.terms.ids[t] in word]
        expected = np.sum(vectors, axis=0) if vectors else trained.tables["query"].mean(axis=0)
        states["warm" if vectors else "cold"] += 1
        found = placed.tables["query"][placed.vocabularies["query"].row(id_)]
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
    assert min(states.values()) > 0
    assert placed.report["embed_new"]["query"] == {"hot": len(known), **states}


def test_a_new_term_is_the_mean_word(trained: Embeddings, placed: Embeddings) -> None:
    first = len(trained.vocabularies["term"])
    mean = np.mean(trained.tables["term"].astype(np.float64), axis=0)
    assert len(placed.tables["term"]) > first
    for vector in placed.tables["term"][first:]:
        np.testing.assert_allclose(vector, mean, rtol=1e-5, atol=1e-7)


def test_a_row_that_was_never_learned_tells_nothing() -> None:
    """BPR leaves users without a choice at zero: neither mean nor neighbour may read them."""
    from sargraph.embedding.inductive_placing import HOT, Evidence, place

    none = np.empty(0, dtype=np.int64)
    user = np.array([[2.0, 4.0], [0.0, 0.0]], dtype=np.float32)
    item = np.zeros((3, 2), dtype=np.float32)
    item[0] = [1.0, 1.0]
    evidence = Evidence(
        np.array([0, 1, 1]), np.array([1, 1, 2]), np.full(3, -1), none, none, none, none
    )
    found = place(user, item, np.zeros((0, 2), np.float32), evidence, (2, 1))
    np.testing.assert_array_equal(found.item, [[1, 1], [2, 4], [1, 1]])
    assert found.user_state.tolist() == [HOT, HOT]


# What stays


@pytest.mark.parametrize("name", MODELS)
def test_known_rows_keep_their_place_and_bits(
    name: str, once: Callable[[str], Embeddings], tmp_path: Path
) -> None:
    trained = once(name)
    placed = trained.embed_new(WORLD)
    for kind in KINDS:
        old, new = trained.vocabularies[kind], placed.vocabularies[kind]
        assert new.ids[: len(old)] == old.ids and new.names[: len(old)] == old.names
        added = list(new.ids[len(old) :])
        assert added == sorted(set(WORLD.vocabularies[kind].ids) - set(old.ids))
    for kind, table in trained.tables.items():
        assert placed.tables[kind].dtype == np.float32 and np.isfinite(placed.tables[kind]).all()
        np.testing.assert_array_equal(placed.tables[kind][: len(table)], table)
    users, items = np.arange(KNOWN["user"]), np.tile(np.arange(KNOWN["item"]), (KNOWN["user"], 1))
    queries = np.where(users % 2 == 0, users % 16, NO_ROW)
    before, after = (scorer_of(each).score(asked(users, queries), items)
                     for each in (trained, placed))  # fmt: skip
    np.testing.assert_allclose(after, before, rtol=1e-4, atol=1e-5)
    placed.save(tmp_path / "e")
    again = scorer_for(Embeddings.load(tmp_path / "e"), WORLD)
    requests = asked(USERS, np.where(USERS % 2 == 0, USERS % SIZES["query"], NO_ROW))
    every = np.tile(ITEMS, (len(USERS), 1))
    scores = again.score(requests, every)
    assert np.isfinite(scores).all()
    np.testing.assert_array_equal(scores, scorer_for(placed, WORLD).score(requests, every))


def test_words_and_histories_of_known_rows_stay(once: Callable[[str], Embeddings]) -> None:
    trained = once("uditsr timed")
    placed = trained.embed_new(WORLD)
    for name, weight in trained.weights.items():
        grown = placed.weights[name]
        assert grown.dtype == weight.dtype
        np.testing.assert_array_equal(grown[: len(weight)] if weight.ndim else grown, weight)


def test_words_and_histories_of_new_users_are_counted(once: Callable[[str], Embeddings]) -> None:
    """Three most frequent known words, first seen first, and timed queries, by plain loops."""
    placed = once("uditsr timed").embed_new(WORLD, as_of=LATER)
    term, queries = placed.vocabularies["term"], placed.vocabularies["query"]
    known = set(OLD.terms.ids)
    words = [[WORLD.terms.ids[t] for t in terms] for terms in WORLD.query_terms]
    for user in range(KNOWN["user"], SIZES["user"]):
        row = placed.vocabularies["user"].row(WORLD.users.ids[user])
        events = [e for e in np.flatnonzero(WORLD.user == user) if WORLD.time[e] < LATER]
        asked_rows = [WORLD.query[e] for e in events if WORLD.query[e] != NO_ROW]
        counts: dict[str, int] = {}
        for query in asked_rows:
            for word in words[query]:
                if word in known:
                    counts[word] = counts.get(word, 0) + 1
        best = sorted(counts, key=lambda word: -counts[word])[:3]
        own = [term.ids[t] for t in placed.weights["user_terms"][row] if t >= 0]
        assert own == best
        start, end = placed.weights["history_offsets"][row : row + 2]
        found = placed.weights["history_query"][start:end]
        expected = [WORLD.queries.ids[q] for q in asked_rows if known & set(words[q])]
        assert sorted(queries.ids[q] for q in found) == sorted(expected)
        assert (np.diff(placed.weights["history_time"][start:end]) >= 0).all()


def test_words_of_new_items_are_those_of_searches_then_of_the_text(placed: Embeddings) -> None:
    row = placed.vocabularies["item"].row("i64")
    assert 64 not in WORLD.item
    text = [WORLD.terms.ids[t] for t in WORLD.item_terms[64] if WORLD.terms.ids[t] in OLD.terms]
    own = [placed.vocabularies["term"].ids[t] for t in placed.weights["item_terms"][row] if t >= 0]
    assert own == text


# Time and splits


def later_events_changed(seed: int) -> Events:
    """The same until `LATER`; after it other items, queries and sources, or nothing at all."""
    rng = np.random.default_rng(seed)
    late = WORLD.time >= LATER
    if seed == 0:
        return WORLD.select(~late)
    columns = {name: column.copy() for name, column in WORLD.columns.items()}
    for name in ("item", "query", "source"):
        columns[name][late] = rng.permutation(columns[name][late])
    return replace(WORLD, columns=columns)


@pytest.mark.parametrize("name", ["uditsr", "uditsr timed", "transe"])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_later_events_change_nothing(
    name: str, seed: int, once: Callable[[str], Embeddings]
) -> None:
    first, second = (
        once(name).embed_new(events, as_of=LATER) for events in (WORLD, later_events_changed(seed))
    )
    for kind, table in first.tables.items():
        np.testing.assert_array_equal(table, second.tables[kind])
    for weight, array in first.weights.items():
        np.testing.assert_array_equal(array, second.weights[weight])
    assert not np.array_equal(first.tables["user"], once(name).embed_new(WORLD).tables["user"]), (
        "later events would have told something"
    )


def test_events_without_a_time_are_before_every_time(trained: Embeddings) -> None:
    columns = {**WORLD.columns, "time": np.full(len(WORLD), NO_TIME)}
    untimed = trained.embed_new(replace(WORLD, columns=columns), as_of=0)
    np.testing.assert_array_equal(untimed.tables["user"], trained.embed_new(WORLD).tables["user"])


def test_only_the_training_events_of_a_split_are_read(trained: Embeddings) -> None:
    split = split_events(WORLD, SplitConfig(cuts=(LATER, LATER + 2)))
    by_split, by_time = trained.embed_new(WORLD, split=split), trained.embed_new(WORLD, as_of=LATER)
    np.testing.assert_array_equal(by_split.tables["user"], by_time.tables["user"])
    assert by_split.parents["split"] == split.content_hash
    assert trained.embed_new(WORLD).parents["split"] == ALL_EVENTS
    assert by_time.parents["split"] not in (ALL_EVENTS, split.content_hash)
    assert by_split.parents["events"] == WORLD.content_hash


# Use


def test_newcomers_are_ranked_by_their_topic(placed: Embeddings) -> None:
    scorer, known_items = scorer_for(placed, WORLD), ITEMS[: KNOWN["item"]]
    assert share_of_right_pairs(scorer, NEW_USERS, known_items) > 0.9
    assert share_of_right_pairs(scorer, USERS[60:], known_items) > 0.9  # chose new items alone
    assert share_of_right_pairs(scorer, USERS[:48], ITEMS[48:64]) > 0.9
    for search in (False, True):  # by the text alone
        assert share_of_right_pairs(scorer, USERS[:48], ITEMS[64:68], search) > 0.8


@pytest.mark.parametrize("name", ["uditsr", "uditsr by vectors", "bpr", "lightgcn", "transe"])
def test_places_tell_more_than_the_mean_vector(name: str, trained: Embeddings) -> None:
    """Of UDITSR with its words, and without virtual queries, where nothing but vectors tells."""
    made = trained
    if name != "uditsr":
        more = {"virtual_query": "none"} if name == "uditsr by vectors" else {}
        made = train(build_graph(OLD), name.split()[0], {**FAST, **more}, seed=1)
    placed = made.embed_new(WORLD)
    arrays = {**placed.weights, "user": placed.tables["user"].copy()}
    for array in ("user", *("user_embedding.weight",) * ("user_terms" in arrays)):
        arrays[array] = arrays[array].copy()
        arrays[array][KNOWN["user"] :] = arrays[array][: KNOWN["user"]].mean(axis=0)
    if "user_terms" in arrays:
        arrays["user_terms"] = np.where(np.arange(64)[:, None] < 48, arrays["user_terms"], -1)
    tables = {**placed.tables, "user": arrays.pop("user")}
    by_mean = replace(placed, tables=tables, weights=arrays)
    by_place, by_mean_vector = (
        share_of_right_pairs(scorer_for(each, WORLD), NEW_USERS, ITEMS[: KNOWN["item"]])
        for each in (placed, by_mean)
    )
    assert by_place > 0.85
    assert 0.3 < by_mean_vector < 0.7


def test_hot_warm_and_cold_can_be_judged(trained: Embeddings) -> None:
    """The report's states are the slices of an evaluation of those who came later."""
    split = split_events(WORLD, SplitConfig(cuts=(LATER, LATER + 2)))
    placed = trained.embed_new(WORLD, split=split)
    requests = requests_for(WORLD, split, TEST, "recommend")
    has_history = history_lengths(WORLD, split.visible, requests) > 0
    slices = user_slices(WORLD, split.is_train, has_history, requests)
    slices |= item_slices(WORLD, split.is_train, requests)
    assert slices["user hot"].any() and slices["item hot"].any()
    candidates = np.tile(ITEMS, (len(requests), 1))
    scores = scorer_for(placed, WORLD).score(requests, candidates)
    ranks = (scores > np.take_along_axis(scores, requests.target[:, None], 1)).sum(1)
    of_new = {"user": requests.user >= KNOWN["user"], "item": requests.target >= KNOWN["item"]}
    for kind, new in of_new.items():
        rows = new & slices[f"{kind} hot"]  # trained in the new events, placed by embed_new
        assert rows.sum() > 10
        assert ranks[rows].mean() < len(ITEMS) / 3


def test_scores_are_matched_by_id(placed: Embeddings) -> None:
    scorer, plain = scorer_for(placed, WORLD), scorer_of(placed)
    user, item, query = 3, 50, 2
    rows = [placed.vocabularies[kind].row(WORLD.vocabularies[kind].ids[row])
            for kind, row in (("user", user), ("item", item), ("query", query))]  # fmt: skip
    assert rows != [user, item, query]
    for own, inner in ((query, rows[2]), (NO_ROW, NO_ROW)):
        ours = scorer.score(asked(np.array([user]), np.array([own])), np.array([[item, -1]]))
        theirs = plain.score(
            asked(np.array([rows[0]]), np.array([inner])), np.array([[rows[1], -1]])
        )
        np.testing.assert_array_equal(ours, theirs)
        assert ours[0, 1] == -np.inf
    with pytest.raises(BadInputError, match="user rows"):
        scorer.score(asked(np.array([SIZES["user"]])), np.array([[0]]))
    with pytest.raises(BadInputError, match="candidate rows"):
        scorer.score(asked(np.array([0])), np.array([[SIZES["item"]]]))


def test_vectors_of_requests_and_items_give_the_scores(once: Callable[[str], Embeddings]) -> None:
    scorer = scorer_for(once("bpr").embed_new(WORLD), WORLD)
    requests = asked(USERS)
    expected = scorer.score(requests, np.tile(ITEMS, (len(USERS), 1)))
    found = scorer.encode(requests) @ scorer.item_vectors().T  # type: ignore[attr-defined]
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


def test_the_same_rows_need_no_matching(trained: Embeddings) -> None:
    assert type(scorer_for(trained, OLD)) is type(scorer_of(trained))


def test_embeddings_can_grow_twice(trained: Embeddings, placed: Embeddings) -> None:
    """Nothing is new the second time."""
    again = placed.embed_new(WORLD)
    for kind, table in placed.tables.items():
        np.testing.assert_array_equal(again.tables[kind], table)
        counts = again.report["embed_new"][kind]
        assert (counts["warm"], counts["cold"]) == (0, 0)


# Refusals


def test_defect_ids_of_another_data_set_are_taken_for_known(trained: Embeddings) -> None:
    others = {kind: Vocabulary([f"x{i}" for i in v.ids]) for kind, v in WORLD.vocabularies.items()}
    with pytest.raises(BadInputError, match="none of the 64 users and 72 items"):
        trained.embed_new(replace(WORLD, vocabularies=others))
    renamed = {**WORLD.vocabularies, "item": Vocabulary(WORLD.items.ids, WORLD.items.ids)}
    with pytest.raises(BadInputError, match="another name, as 'i0': got 'i0', expected 'item 0'"):
        trained.embed_new(replace(WORLD, vocabularies=renamed))


def test_a_few_changed_titles_are_no_other_data_set(trained: Embeddings) -> None:
    names = [f"new {name}" if row < 5 else name for row, name in enumerate(WORLD.items.names)]
    changed = {**WORLD.vocabularies, "item": Vocabulary(WORLD.items.ids, names)}
    placed = trained.embed_new(replace(WORLD, vocabularies=changed))
    assert placed.vocabularies["item"].names[:48] == trained.vocabularies["item"].names


def test_what_cannot_be_embedded_is_refused(
    trained: Embeddings, once: Callable[[str], Embeddings]
) -> None:
    with pytest.raises(ConfigError, match="uditsr"):
        replace(trained, model="uditsr crossfit").embed_new(WORLD)
    with pytest.raises(BadInputError, match="permuted"):
        config = {**trained.config, "virtual_query": "permuted"}
        replace(trained, config=config).embed_new(WORLD)
    bpr = once("bpr")
    with pytest.raises(BadInputError, match=r"a weight 'layer.weight' of shape \(8, 8\)"):
        replace(bpr, weights={"layer.weight": np.ones((8, 8))}).embed_new(WORLD)
    with pytest.raises(BadInputError, match="whose time is ms, expected ordinal"):
        once("uditsr timed").embed_new(replace(WORLD, time_kind="ms"))
    split = split_events(OLD, SplitConfig(cuts=(6, 8)))
    with pytest.raises(BadInputError, match="another split"):
        trained.embed_new(OLD, split=split)
    with pytest.raises(BadInputError, match="16 of the 64 user ids"):
        scorer_for(trained, WORLD)


def test_every_way_to_grow_has_a_case(once: Callable[[str], Embeddings]) -> None:
    assert set(GROWTHS.names()) <= {name.split()[0] for name in MODELS}
    assert growth_of(once("bpr")).__name__ == "Growth"


def test_events_without_anything_new_leave_all_as_it_is(trained: Embeddings) -> None:
    placed = trained.embed_new(OLD)
    for name, weight in trained.weights.items():
        np.testing.assert_array_equal(placed.weights[name], weight)
    assert placed.vocabularies == trained.vocabularies
    assert placed.query_terms.values.tolist() == trained.query_terms.values.tolist()


def test_a_log_without_texts_or_searches_places_by_choices(trained: Embeddings) -> None:
    clicks = WORLD.select(WORLD.is_recommend)
    bare = replace(
        clicks,
        item_terms=Ragged.from_lists([[]] * SIZES["item"]),
        categories=None,
        follows=None,
    )
    placed = trained.embed_new(bare)
    row = placed.vocabularies["user"].row("u48")
    items = [placed.tables["item"][placed.vocabularies["item"].row(bare.items.ids[i])]
             for i in bare.item[bare.user == 48] if i < KNOWN["item"]]  # fmt: skip
    np.testing.assert_allclose(placed.tables["user"][row], np.mean(items, axis=0), rtol=1e-5)
    assert unit_rows(placed.tables["user"]).any(axis=1).all()
    assert placed.report["embed_new"]["item"]["cold"] == 8
