"""Who knows nothing gets chance under every protocol on offer; who rewards places is caught."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from sargraph.core.ragged import Ragged
from sargraph.core.scorer import Requests
from sargraph.evaluation.candidates import lists_hash
from sargraph.evaluation.evaluate import evaluate_scorer
from sargraph.evaluation.positives import known_positives, seen_items
from sargraph.evaluation.protocol import Protocol
from sargraph.evaluation.ranks import rank_target
from sargraph.events.split import TEST, SplitConfig, requests_for, split_events
from sargraph.testing.events import random_events
from sargraph.testing.leak_chance import ByColumn
from sargraph.testing.leaks import (
    assert_chance,
    protocols_on_offer,
)


def given_negatives(requests: Requests, num_items: int) -> Ragged:
    """Nine distinct items beside each target."""
    rng = np.random.default_rng(5)
    others = [np.delete(np.arange(num_items), t) for t in requests.target]
    return Ragged.from_lists([rng.choice(items, 9, replace=False).tolist() for items in others])


class TestChance:
    @pytest.fixture
    def world(self):
        rng = np.random.default_rng(2)
        world = random_events(rng, num_users=30, num_items=150, num_events=1500, num_times=400)
        terms = [[int(rng.integers(6))] for _ in range(150)]
        return replace(world, item_terms=Ragged.from_lists(terms))

    @pytest.fixture
    def asked(self, world):
        split = split_events(world, SplitConfig())
        return split, requests_for(world, split, TEST, "recommend")

    OFFER = protocols_on_offer(
        "x", part="test", what="both", order_known=True, num_negatives=20, cutoffs=(1, 5)
    )

    @pytest.mark.parametrize("protocol", OFFER, ids=lambda p: f"{p.candidates_text()}")
    def test_who_knows_nothing_gets_chance(self, world, asked, protocol):
        split, requests = asked
        lists = None
        if protocol.negatives == "file":
            lists = given_negatives(requests, len(world.items))
            protocol = protocol.model_copy(update={"negatives_hash": lists_hash(lists)})
        elif protocol.candidates == "slate":
            rows = given_negatives(requests, len(world.items))
            shown = [[*row, t] for row, t in zip(rows, requests.target, strict=True)]
            lists = Ragged.from_lists(shown)
        assert_chance(
            lambda scorer: evaluate_scorer(
                scorer,
                requests,
                len(world.items),
                known=known_positives(world),
                seen=seen_items(world, split.is_train),
                protocol=protocol,
                lists=lists,
                popularity=np.arange(len(world.items)) % 7,
                item_terms=world.item_terms,
                chosen_before=requests.target % 3 == 0,
            )
        )

    def test_every_kind_of_candidates_is_on_offer(self):
        kinds = {(p.candidates, p.negatives, p.remove_seen, p.repeated) for p in self.OFFER}
        assert len(kinds) == len(self.OFFER) == 3 * (3 + 2 + 1 + 1)

    def test_a_target_that_stays_in_its_column_is_caught(self, world, asked):
        requests = asked[1]

        def unshuffled(scorer):
            wide = np.tile(np.arange(12), (len(requests), 1))
            wide[:, 0] = requests.target
            real = evaluate_scorer(
                scorer, requests, 150, known=known_positives(world),
                protocol=Protocol(num_negatives=11),
            )  # fmt: skip
            if not isinstance(scorer, ByColumn):
                return real
            return replace(real, ranks=rank_target(scorer.score(requests, wide), 0))

        with pytest.raises(AssertionError, match="the scorer by column"):
            assert_chance(unshuffled)

    def test_rewarded_ties_are_caught(self, world, asked):
        def optimistic(scorer):
            real = evaluate_scorer(
                scorer, asked[1], 150, known=known_positives(world), protocol=Protocol()
            )
            return replace(real, ranks=replace(real.ranks, tied=real.ranks.tied // 2))

        with pytest.raises(AssertionError, match="'constant' got HR@1"):
            assert_chance(optimistic)

    def test_rows_in_the_order_of_popularity_are_caught(self, world, asked):
        sorted_rows = replace(asked[1], target=np.sort(asked[1].target) // 4)
        with pytest.raises(AssertionError, match="the scorer by row"):
            assert_chance(
                lambda scorer: evaluate_scorer(
                    scorer, sorted_rows, 150, known=known_positives(world), protocol=Protocol()
                )
            )
