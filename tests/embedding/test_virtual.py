"""Virtual queries: near the planted topic, readable, refused where they cannot be."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from sargraph.core.errors import BadInputError, UnknownIdError
from sargraph.core.types import IntArray
from sargraph.embedding.embeddings import Embeddings, unit_rows
from sargraph.embedding.model import embedding_model
from sargraph.embedding.virtual import add_virtual_queries, explain_edge, virtual_query_words
from sargraph.events.vocabulary import Vocabulary
from sargraph.graph.graph import CLICKED, FOUND, Graph, VirtualQueries
from sargraph.testing.planted_topics import SIZES, two_topics


@pytest.fixture(scope="module")
def child(graph: Graph, embeddings: Embeddings) -> Graph:
    return add_virtual_queries(graph, embeddings, k=4)


def virtual_of(graph: Graph) -> VirtualQueries:
    assert graph.virtual is not None
    return graph.virtual


def test_a_virtual_query_is_nearest_to_the_queries_of_its_topic(
    child: Graph, embeddings: Embeddings
) -> None:
    topic = child.edges[CLICKED].from_row % 2
    queries = unit_rows(embeddings.vectors("query"))
    cosine = unit_rows(virtual_of(child).vector) @ queries.T
    of_topic = np.stack([cosine[:, 0::2].mean(1), cosine[:, 1::2].mean(1)])
    assert (of_topic.argmax(axis=0) == topic).mean() >= 0.9
    assert (virtual_of(child).queries[:, 0] % 2 == topic).mean() >= 0.9


def test_neighbours_equal_a_loop_over_all_searched_queries(
    child: Graph, graph: Graph, embeddings: Embeddings
) -> None:
    virtual, clicked = virtual_of(child), graph.edges[CLICKED]
    searched = np.unique(graph.edges[FOUND].query)
    terms = np.unique(graph.query_terms.take(searched).values)
    expected = embedding_model("uditsr").demand_from(embeddings, clicked.from_row, clicked.to_row)
    np.testing.assert_allclose(virtual.vector, expected, atol=1e-6)
    assert embeddings.config["naming_weight"] > 0  # so that words are named by the inner product
    for edge in range(0, len(clicked), 17):
        probe = virtual.vector[edge]
        vectors = embeddings.vectors("query")
        cosine = {
            int(row): vectors[row] @ probe / np.linalg.norm(vectors[row]) / np.linalg.norm(probe)
            for row in searched
        }
        product = {int(row): embeddings.vectors("term")[row] @ probe for row in terms}
        _are_the_best(virtual.queries[edge], cosine)
        _are_the_best(virtual.terms[edge], product)
        assert virtual.confidence[edge] == pytest.approx(max(cosine.values()), abs=1e-5)


def _are_the_best(rows: IntArray, score: dict[int, float]) -> None:
    best = sorted(score.values(), reverse=True)[: len(rows)]
    np.testing.assert_allclose([score[int(row)] for row in rows], best, atol=1e-5)


def test_a_query_of_no_training_search_is_never_named(embeddings: Embeddings) -> None:
    graph = two_topics()
    found = graph.edges[FOUND]
    few = Graph(**{**vars(graph), "edges": {**graph.edges, FOUND: found.take(found.query < 3)}})
    virtual = virtual_of(add_virtual_queries(few, embeddings, k=5))
    assert set(virtual.queries.flatten().tolist()) <= {0, 1, 2, -1}
    assert (virtual.queries[:, -1] == -1).all()


def test_parallel_edges_share_their_virtual_query(child: Graph) -> None:
    clicked = child.edges[CLICKED]
    code = clicked.from_row * SIZES["item"] + clicked.to_row
    first, group = np.unique(code, return_index=True, return_inverse=True)[1:]
    assert len(first) < len(code)
    vector = virtual_of(child).vector
    np.testing.assert_array_equal(vector, vector[first][group])


def test_the_child_knows_its_parents_and_survives_saving(
    child: Graph, embeddings: Embeddings, tmp_path: Path
) -> None:
    saved = embeddings.save(tmp_path / "e")
    graph = add_virtual_queries(two_topics(), saved, k=4)
    assert graph.parents == {"graph": "a" * 64, "embeddings": saved.content_hash}
    assert graph.content_hash == ""
    graph.save(tmp_path / "g")
    loaded = Graph.load(tmp_path / "g")
    np.testing.assert_array_equal(virtual_of(loaded).terms, virtual_of(child).terms)
    assert explain_edge(loaded, "user0", _item_of(loaded)) == explain_edge(
        child, "user0", _item_of(child)
    )


def _item_of(graph: Graph) -> str:
    clicked = graph.edges[CLICKED]
    return f"item{clicked.to_row[clicked.from_row == 0][0]}"


def test_an_edge_is_explained_in_words(child: Graph, embeddings: Embeddings) -> None:
    item = _item_of(child)
    told = explain_edge(child, "user0", item)
    clicked = child.edges[CLICKED]
    assert len(told) == ((clicked.from_row == 0) & (clicked.to_row == int(item[4:]))).sum()
    first = told[0]
    assert first["user"] == "user 0 of topic 0" and first["time"] is None
    assert len(first["queries"]) == len(first["terms"]) == 4
    assert all(name.startswith("query ") for name in first["queries"])
    assert all(name.startswith("term ") for name in first["terms"])
    assert first["model"] == "uditsr" and "cosines" not in first
    cosines = explain_edge(child, "user0", item, embeddings)[0]["cosines"]
    assert cosines == sorted(cosines, reverse=True)
    assert cosines[0] == pytest.approx(first["confidence"], abs=1e-5)


def test_edges_that_are_not_there_are_refused_with_a_hint(child: Graph, graph: Graph) -> None:
    with pytest.raises(UnknownIdError, match="user77"):
        explain_edge(child, "user77", "item0")
    with pytest.raises(UnknownIdError, match="item99"):
        explain_edge(child, "user0", "item99")
    with pytest.raises(BadInputError, match="this user has edges to: item"):
        explain_edge(child, "user0", "item59")
    with pytest.raises(BadInputError, match="add_virtual_queries"):
        explain_edge(graph, "user0", "item0")
    found, clicked = child.edges[FOUND], child.edges[CLICKED]
    pairs = set(zip(clicked.from_row.tolist(), clicked.to_row.tolist(), strict=True))
    user, item, query = next(
        edge
        for edge in zip(found.from_row, found.to_row, found.query, strict=True)
        if edge[:2] not in pairs
    )
    with pytest.raises(BadInputError, match=f"real query is 'query {query} "):
        explain_edge(child, f"user{user}", f"item{item}")


def test_graphs_that_cannot_be_virtualised_are_refused(
    graph: Graph, embeddings: Embeddings
) -> None:
    with pytest.raises(BadInputError, match="k"):
        add_virtual_queries(graph, embeddings, k=0)
    for kind in (CLICKED, FOUND):
        edges = {other: table for other, table in graph.edges.items() if other != kind}
        with pytest.raises(BadInputError, match=r"clicked|searches"):
            add_virtual_queries(Graph(**{**vars(graph), "edges": edges}), embeddings)
    others = {**graph.vocabularies, "item": Vocabulary([f"other{n}" for n in range(60)])}
    with pytest.raises(BadInputError, match="item ids"):
        add_virtual_queries(Graph(**{**vars(graph), "vocabularies": others}), embeddings)


def test_sampled_words_are_readable_and_seeded(child: Graph) -> None:
    sample = virtual_query_words(child, 5, seed=2)
    assert sample == virtual_query_words(child, 5, seed=2) != virtual_query_words(child, 5, seed=3)
    user, item, words, confidence = sample[0]
    assert user.startswith("user ") and item.startswith("item ")
    assert words.count("term ") == 4 and -1 <= confidence <= 1.0001
    assert len(virtual_query_words(child, 10**6)) == len(child.edges[CLICKED])
