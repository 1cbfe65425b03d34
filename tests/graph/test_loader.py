"""PyG's own loaders run on our sampler: numbering, edge ids, time order, negatives."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch_geometric.loader import LinkLoader, NodeLoader
from torch_geometric.sampler import NegativeSampling

from sargraph.core.errors import DataError
from sargraph.core.types import NO_TIME
from sargraph.graph.fan_out import forward_of
from sargraph.graph.graph import CLICKED
from sargraph.graph.loader import GraphSampler
from sargraph.graph.positives import Positives
from sargraph.testing.sampling import random_graph


@pytest.fixture(scope="module")
def graph():
    return random_graph(np.random.default_rng(0), num_nodes=9, num_edges=80)


@pytest.fixture(scope="module")
def data(graph):
    data = graph.to_pyg()
    for kind, count in graph.num_nodes.items():
        data[kind].x = torch.arange(count).float()[:, None]
    return data


def check_batch(graph, batch, time_of_tree):
    """Every edge of a batch is the graph's edge of that id, and before its tree's time."""
    num_edges = 0
    for kind in batch.edge_types:
        store, table = batch[kind], graph.edges[forward_of(kind)]
        row, col = store.edge_index
        ends = batch[kind[0]].n_id[row], batch[kind[2]].n_id[col]
        start, end = ends if kind == forward_of(kind) else ends[::-1]
        edge = store.e_id.numpy()
        np.testing.assert_array_equal(start.numpy(), table.from_row[edge])
        np.testing.assert_array_equal(end.numpy(), table.to_row[edge])
        np.testing.assert_array_equal(store.time.numpy(), table.time[edge])
        tree = batch[kind[2]].batch[col]
        assert torch.equal(tree, batch[kind[0]].batch[row])
        if time_of_tree is not None:
            assert torch.all((store.time < time_of_tree[tree]) | (store.time == NO_TIME))
        num_edges += len(edge)
    for kind in batch.node_types:
        assert torch.equal(batch[kind].x[:, 0].long(), batch[kind].n_id)
    return num_edges


def test_node_loader_gives_trees_in_time_order(graph, data):
    times = torch.arange(9) + 2
    loader = NodeLoader(
        data,
        node_sampler=GraphSampler(graph, [3, 2]),
        input_nodes=("user", torch.arange(9)),
        input_time=times,
        batch_size=4,
        shuffle=True,
    )
    seen, num_edges = [], 0
    for batch in loader:
        size = batch["user"].batch_size
        assert torch.equal(batch["user"].n_id[:size], batch["user"].input_id)
        assert torch.equal(batch["user"].seed_time, times[batch["user"].input_id])
        assert sum(batch["user"].num_sampled_nodes) == batch["user"].num_nodes
        num_edges += check_batch(graph, batch, batch["user"].seed_time)
        seen += batch["user"].input_id.tolist()
    assert sorted(seen) == list(range(9))
    assert num_edges > 100


def test_shuffling_and_batch_size_do_not_change_a_tree_and_an_epoch_does(graph, data):
    def edges(batch_size, epoch=0):
        sampler = GraphSampler(graph, [2, 2])
        sampler.epoch = epoch
        loader = NodeLoader(
            data,
            node_sampler=sampler,
            input_nodes=("user", torch.arange(9)),
            input_time=torch.full((9,), 11),
            batch_size=batch_size,
            shuffle=True,
        )
        trees = {}
        for batch in loader:
            for kind in batch.edge_types:
                col = batch[kind].edge_index[1]
                tree = batch["user"].input_id[batch[kind[2]].batch[col]].tolist()
                for place, edge in zip(tree, batch[kind].e_id.tolist(), strict=True):
                    trees.setdefault((place, kind), set()).add(edge)
        return trees

    assert edges(2) == edges(9)
    assert edges(2) != edges(2, epoch=1)


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


def test_worker_processes_give_the_same_batches(graph, data):
    def batches(num_workers):
        loader = NodeLoader(
            data,
            node_sampler=GraphSampler(graph, [3, 2]),
            input_nodes=("user", torch.arange(9)),
            input_time=torch.arange(9) + 2,
            batch_size=4,
            num_workers=num_workers,
        )
        return [batch[CLICKED].e_id.tolist() for batch in loader]

    assert batches(0) == batches(1)
