"""PyG's own loaders run on our sampler: numbering, edge ids, time order, negatives."""

from __future__ import annotations

from multiprocessing.reduction import ForkingPickler

import numpy as np
import pytest
import torch
from torch_geometric.loader import LinkLoader, NodeLoader
from torch_geometric.utils import trim_to_layer

from sargraph.graph.graph import CLICKED, CONTAINS, FOLLOWS
from sargraph.graph.interop import reverse_of
from sargraph.graph.loader import GraphSampler
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


def test_excluded_edges_are_in_no_batch(graph, data):
    hidden = np.arange(0, 80, 3)
    sampler = GraphSampler(graph, [-1, -1], whole_graph=True, exclude={CLICKED: hidden})
    nodes = NodeLoader(data, node_sampler=sampler, input_nodes="user", batch_size=4)
    links = LinkLoader(data, link_sampler=sampler, edge_label_index=FOLLOWS, batch_size=8)
    for loader in (nodes, links):
        for batch in loader:
            for kind in (CLICKED, reverse_of(CLICKED)):
                assert not set(hidden.tolist()) & set(batch[kind].e_id.tolist())


def test_a_batch_of_some_edge_types_can_be_trimmed_layer_by_layer(graph, data):
    fan_outs = {reverse_of(CLICKED): [3, 2], CLICKED: [3, 2]}
    loader = NodeLoader(
        data,
        node_sampler=GraphSampler(graph, fan_outs),
        input_nodes="user",
        input_time=torch.full((9,), 11),
        batch_size=9,
    )
    (batch,) = loader
    assert set(batch.edge_types) == set(data.edge_types)
    assert len(batch[CONTAINS].e_id) == 0
    nodes, edges = batch.x_dict, batch.edge_index_dict
    for layer in range(2):
        nodes, edges, _ = trim_to_layer(
            layer, batch.num_sampled_nodes_dict, batch.num_sampled_edges_dict, nodes, edges
        )
    assert edges[reverse_of(CLICKED)].shape[1] == batch[reverse_of(CLICKED)].num_sampled_edges[0]
    assert edges[CONTAINS].shape == (2, 0)


def test_an_epoch_reaches_workers_that_live_on(graph, data):
    sampler = GraphSampler(graph, [2, 2])
    loader = NodeLoader(
        data,
        node_sampler=sampler,
        input_nodes=("user", torch.arange(9)),
        input_time=torch.full((9,), 11),
        batch_size=9,
        num_workers=1,
        persistent_workers=True,
    )
    alone = GraphSampler(graph, [2, 2])
    for epoch in (0, 5, 0):
        alone.epoch = sampler.epoch = epoch
        (batch,) = loader
        sample = alone.sampler.sample("user", np.arange(9), as_of=11, epoch=alone.epoch)
        assert batch[CLICKED].e_id.tolist() == sample.edge[CLICKED].tolist()


def test_an_epoch_reaches_a_sampler_that_was_sent_to_another_process(graph):
    """As with workers that are spawned and not forked."""
    sampler = GraphSampler(graph, [2, 2])
    sent = ForkingPickler.loads(ForkingPickler.dumps(sampler))
    sampler.epoch = 7
    assert sent.epoch == 7
    with pytest.raises(TypeError, match="cannot be interpreted as an integer"):
        sampler.epoch = 0.5
