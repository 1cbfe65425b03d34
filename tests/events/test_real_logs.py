"""Real data sets: exact counts, and the time an ingestion may take."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest

from sargraph.core.types import NO_TIME
from sargraph.events.events import Events
from sargraph.events.ingest import ingest
from sargraph.events.schema import CLICK, IMPRESSION, PLAY

MAX_CPU_SECONDS = 15


@pytest.fixture(scope="module")
def lastfm(data_dir: Path) -> Events:
    started = time.process_time()
    events = ingest("lastfm", data_dir / "lastfm_hetrec")
    assert time.process_time() - started < MAX_CPU_SECONDS
    return events


@pytest.fixture(scope="module")
def movielens(data_dir: Path) -> Events:
    return ingest("movielens", data_dir / "movielens_small")


@pytest.fixture(scope="module")
def beauty(data_dir: Path) -> Events:
    return ingest("amazon_sequences", data_dir / "amazon_beauty")


def test_lastfm_has_the_published_core(lastfm: Events) -> None:
    pairs = np.unique(lastfm.user * len(lastfm.items) + lastfm.item)
    months = np.unique(lastfm.time[lastfm.is_timed])
    sizes = (len(lastfm.users), len(lastfm.items), len(pairs), len(lastfm.terms), len(months))
    assert sizes == (1871, 5424, 119_205, 2274, 69)
    assert lastfm.report["terms_in_searches"] == 147_878
    assert lastfm.report["filtered_by_reason"]["keep"] == 5


def test_lastfm_rows_are_accounted_for(lastfm: Events) -> None:
    report = lastfm.report
    assert report["rows"] == 186_479 + 92_834
    assert report["used"] == len(lastfm)
    assert report["rows"] == sum(report[f] for f in ("used", "merged", "filtered", "quarantined"))


def test_lastfm_listens_are_untimed_plays_and_tags_are_timed_searches(lastfm: Events) -> None:
    assert np.array_equal(lastfm.is_timed, lastfm.is_search)
    assert np.all(lastfm.columns["action"] == np.where(lastfm.is_search, CLICK, PLAY))
    first = (lastfm.time != NO_TIME) & (lastfm.time % 86_400_000 != 0)
    assert not first.any()
    assert lastfm.columns["weight"].max() > 100_000
    assert len(np.unique(lastfm.session[lastfm.is_search])) == int(lastfm.is_search.sum())


def test_lastfm_names_are_readable(lastfm: Events) -> None:
    assert lastfm.items.names[lastfm.items.row("707")] == "Metallica"
    assert lastfm.terms.names[lastfm.terms.row("1")] == "metal"
    assert '"Weird Al" Yankovic' in lastfm.items.names
    assert not any("\ufffd" in name for name in lastfm.terms.names)


def test_lastfm_friends_follow_each_other(lastfm: Events, data_dir: Path) -> None:
    lines = (data_dir / "lastfm_hetrec" / "user_friends.dat").read_text().splitlines()[1:]
    known = set(lastfm.users.ids)
    pairs = {tuple(line.split()) for line in lines if known.issuperset(line.split())}
    assert lastfm.follows is not None
    ids = lastfm.users.ids
    found = zip(lastfm.follows.row_of_value.tolist(), lastfm.follows.values.tolist(), strict=True)
    assert {(ids[user], ids[friend]) for user, friend in found} == pairs
    assert len(lastfm.follows.values) == len(pairs) > 25_000


def test_movielens(movielens: Events) -> None:
    ratings = movielens.is_recommend
    actions = movielens.columns["action"]
    assert (len(movielens.users), len(movielens.items)) == (610, 9742)
    assert (int(ratings.sum()), int(movielens.is_search.sum())) == (100_836, 3683)
    assert int(np.sum(actions[ratings] == CLICK)) == 48_580
    assert set(actions[ratings].tolist()) == {CLICK, IMPRESSION}
    assert len(np.unique(movielens.user[movielens.is_search])) == 58
    assert np.bincount(movielens.user[ratings]).max() == 2698


def test_movielens_genres_are_item_terms(movielens: Events) -> None:
    toy_story = movielens.items.row("1")
    genres = [movielens.terms.ids[t] for t in movielens.item_terms[toy_story]]
    assert movielens.items.names[toy_story] == "Toy Story (1995)"
    assert genres == ["adventure", "animation", "children", "comedy", "fantasy"]


def test_beauty(beauty: Events) -> None:
    sizes = (len(beauty), len(beauty.users), len(beauty.items), len(beauty.terms))
    assert sizes == (198_502, 22_363, 12_101, 637)
    assert beauty.time_kind == "ordinal" and beauty.query_kind == "derived"
    assert abs(beauty.is_search.mean() - 0.3) < 0.005


def test_beauty_events_move_to_search_and_are_never_copied(beauty: Events, data_dir: Path) -> None:
    lines = (data_dir / "amazon_beauty" / "Beauty.txt").read_text(encoding="utf-8").splitlines()
    expected = {line.split()[0]: line.split()[1:] for line in lines}
    for user in range(0, len(beauty.users), 1000):
        rows = np.flatnonzero(beauty.user == user)
        items = [beauty.items.ids[item] for item in beauty.item[rows]]
        assert items == expected[beauty.users.ids[user]]
        assert beauty.time[rows].tolist() == list(range(len(rows)))


def test_beauty_queries_are_the_attributes_of_the_item(beauty: Events) -> None:
    for event in np.flatnonzero(beauty.is_search)[::5000]:
        query = beauty.query_terms[int(beauty.query[event])]
        assert query.tolist() == beauty.item_terms[int(beauty.item[event])].tolist()


def test_the_seed_draws_the_derived_queries(data_dir: Path, beauty: Events) -> None:
    folder = data_dir / "amazon_beauty"
    again, other = (ingest("amazon_sequences", folder, seed=seed) for seed in (0, 1))
    assert np.array_equal(again.is_search, beauty.is_search)
    assert not np.array_equal(other.is_search, beauty.is_search)


def test_two_runs_on_lastfm_give_the_same_hash(data_dir: Path, tmp_path: Path) -> None:
    folder = data_dir / "lastfm_hetrec"
    first, second = (ingest("lastfm", folder, tmp_path / name) for name in ("a", "b"))
    assert first.content_hash == second.content_hash
