"""PyG's LinkLoader on our sampler: links hide themselves, negatives are free."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch_geometric.loader import LinkLoader
from torch_geometric.sampler import NegativeSampling

from sargraph.core.errors import DataError
from sargraph.core.types import NO_TIME
from sargraph.graph.graph import CLICKED, FOLLOWS
from sargraph.graph.interop import reverse_of
from sargraph.graph.loader import GraphSampler, _alike
from sargraph.graph.positives import Positives
from sargraph.testing.sampling import check_batch, random_graph


@pytest.fixture(scope="module")
def graph():
    return random_graph(np.random.default_rng(0), num_nodes=9, num_edges=80)


@pytest.fixture(scope="module")
def data(graph):
    data = graph.to_pyg()
    for kind, count in graph.num_nodes.items():
        data[kind].x = torch.arange(count).float()[:, None]
    return data


def timed_links(graph):
    """The clicked edges, and the rows of the first 30 that have a time."""
    table = graph.edges[CLICKED]
    return table, np.flatnonzero(table.time != NO_TIME)[:30]


def link_loader(graph, data, sampler=None, **options):
    table, timed = timed_links(graph)
    ends = np.stack([table.from_row, table.to_row])[:, timed]
    return LinkLoader(
        data,
        link_sampler=sampler or GraphSampler(graph, [3, 2]),
        edge_label_index=(CLICKED, torch.tensor(ends)),
        batch_size=8,
        **options,
    )


@pytest.mark.parametrize("amount", [1, 2, 0.5])
def test_link_loader_with_binary_negatives(graph, data, amount):
    table, timed = timed_links(graph)
    loader = link_loader(
        graph,
        data,
        edge_label_time=torch.tensor(table.time[timed]),
        neg_sampling={"mode": "binary", "amount": amount},
    )
    known, seen = Positives.of(graph, [CLICKED]), []
    for batch in loader:
        store = batch[CLICKED]
        num_links = len(store.input_id)
        link = timed[store.input_id.numpy()]
        user = batch["user"].n_id[store.edge_label_index[0]].numpy()
        item = batch["item"].n_id[store.edge_label_index[1]].numpy()
        np.testing.assert_array_equal(user[:num_links], table.from_row[link])
        np.testing.assert_array_equal(item[:num_links], table.to_row[link])
        assert store.edge_label.tolist() == [1] * num_links + [0] * (len(user) - num_links)
        assert len(user) == num_links + np.ceil(num_links * amount)
        assert not known.contains(user[num_links:], item[num_links:]).any()
        times = torch.tensor(table.time[link])
        trees = batch["user"].batch[store.edge_label_index[0]]
        assert torch.equal(trees, batch["item"].batch[store.edge_label_index[1]])
        assert torch.equal(store.edge_label_time, times[trees])
        check_batch(graph, batch, times)
        assert not set(link.tolist()) & own_edges(batch, link)
        seen += link.tolist()
    assert seen == timed.tolist()


def own_edges(batch, link):
    """Edges of a tree that are the very link the tree is about."""
    col = batch[CLICKED].edge_index[1]
    tree = batch["item"].batch[col].numpy()
    edge = batch[CLICKED].e_id.numpy()
    return set(edge[edge == link[tree]].tolist())


@pytest.mark.parametrize("amount", [1, 3])
def test_link_loader_with_triplets(graph, data, amount):
    table, timed = timed_links(graph)
    times = torch.tensor(table.time[timed])
    loader = link_loader(
        graph, data, edge_label_time=times, neg_sampling={"mode": "triplet", "amount": amount}
    )
    known = Positives.of(graph, [CLICKED])
    for batch in loader:
        user = batch["user"].n_id[batch["user"].src_index].numpy()
        item = batch["item"].n_id[batch["item"].dst_pos_index].numpy()
        negative = batch["item"].n_id[batch["item"].dst_neg_index].numpy()
        assert negative.shape == ((len(user),) if amount == 1 else (len(user), amount))
        assert known.contains(user, item).all()
        columns = negative.reshape(len(user), amount)
        assert not known.contains(np.repeat(user, amount), columns.ravel()).any()
        assert all(len(set(row)) == amount for row in columns.tolist())
        check_batch(graph, batch, batch["user"].seed_time)


def test_without_times_the_whole_graph_must_be_asked_for_and_targets_are_hidden(graph, data):
    table, timed = timed_links(graph)
    with pytest.raises(DataError, match="would see every edge"):
        next(iter(link_loader(graph, data)))
    loader = link_loader(graph, data, GraphSampler(graph, [-1, -1], whole_graph=True))
    for batch in loader:
        link = timed[batch[CLICKED].input_id.numpy()]
        asked = set(zip(table.from_row[link].tolist(), table.to_row[link].tolist(), strict=True))
        for kind in (CLICKED, ("item", "rev_clicked", "user")):
            edge = batch[kind].e_id.numpy()
            drawn = zip(table.from_row[edge].tolist(), table.to_row[edge].tolist(), strict=True)
            assert not asked & set(drawn)
            assert len(edge)
        check_batch(graph, batch, None)


def test_destination_weights_are_drawn_from_and_source_weights_are_refused(graph, data):
    table, timed = timed_links(graph)
    times = torch.tensor(table.time[timed])
    weights = torch.ones(graph.num_nodes["item"])
    weights[:3] = 0
    wanted = NegativeSampling("triplet", 1, dst_weight=weights)
    batches = list(link_loader(graph, data, edge_label_time=times, neg_sampling=wanted))
    drawn = [batch["item"].n_id[batch["item"].dst_neg_index] for batch in batches]
    assert torch.cat(drawn).min() >= 3
    refused = NegativeSampling("binary", 1, src_weight=torch.ones(9))
    with pytest.raises(DataError, match="src_weight"):
        next(iter(link_loader(graph, data, edge_label_time=times, neg_sampling=refused)))


def test_links_of_a_reversed_type_are_hidden_and_get_negatives_of_its_direction(graph, data):
    """Negatives of (item, rev_clicked, user) are users that did not click the item."""
    table, timed = timed_links(graph)
    kind = reverse_of(CLICKED)
    ends = np.stack([table.to_row, table.from_row])[:, timed]
    loader = LinkLoader(
        data,
        link_sampler=GraphSampler(graph, [-1, -1], whole_graph=True),
        edge_label_index=(kind, torch.tensor(ends)),
        batch_size=8,
        neg_sampling={"mode": "binary", "amount": 1},
    )
    known = Positives.of(graph, [CLICKED])
    for batch in loader:
        link = timed[batch[kind].input_id.numpy()]
        item, user = (
            batch[node].n_id[rows].numpy()
            for node, rows in zip(("item", "user"), batch[kind].edge_label_index, strict=True)
        )
        np.testing.assert_array_equal(item, np.tile(table.to_row[link], 2))
        assert known.contains(user[: len(link)], item[: len(link)]).all()
        assert not known.contains(user[len(link) :], item[len(link) :]).any()
        for walked in (CLICKED, kind):
            assert not set(link.tolist()) & set(batch[walked].e_id.tolist())
        check_batch(graph, batch, None)


def test_negatives_between_nodes_of_one_type_keep_the_direction_of_the_link(graph):
    """A user who follows back may be a negative, as the direction is what is asked."""
    assert _alike(graph, FOLLOWS) == [FOLLOWS]
    assert _alike(graph, reverse_of(FOLLOWS)) == [reverse_of(FOLLOWS)]
    with pytest.raises(DataError, match="links for unknown edge type user-liked-item"):
        _alike(graph, ("user", "liked", "item"))
