"""The simulator's files: CSV and Parquet, shards, presets, and bytes that stay what they are."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sargraph.core.artifact import read_manifest
from sargraph.core.errors import ConfigError
from sargraph.events.ingest import ingest
from sargraph.events.recipe import read_recipe
from sargraph.events.simulate import SimulateConfig, simulate
from sargraph.events.simulation.columns import Decimal, Repeated, id_lists
from sargraph.events.simulation.presets import PRESETS
from sargraph.events.simulation.sinks import CsvSink, ParquetSink
from sargraph.events.simulation.timeline import draw_timeline
from sargraph.events.simulation.world import plant_world

KNOWN_BYTES = {
    "item_features.csv": "9be3c0e62ecb597e",
    "rec_inter.csv": "c6fa79266694ca9d",
    "social_network.csv": "39c85e0dcf5ae83c",
    "src_inter.csv": "f54702c95dc09b7f",
    "terms.csv": "67cbb6f07aa39708",
    "titles.csv": "f30f36f383b7a454",
    "user_features.csv": "5fcbe6c73191635f",
}
"""First digits of the hashes of the tiny world's files, seed 7."""

SMALL = SimulateConfig.preset("tiny")
SHARDED = SimulateConfig.preset("tiny", users_per_shard=60)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The same sharded world as CSV and as Parquet."""
    root = tmp_path_factory.mktemp("formats")
    simulate(root / "csv", SHARDED, seed=7)
    simulate(root / "parquet", SHARDED, seed=7, format="parquet")
    return root / "csv", root / "parquet"


def csv_rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def as_csv_text(value: object) -> str:
    if isinstance(value, list):
        return "[" + ", ".join(str(v) for v in value) + "]"
    return str(value)


def test_a_small_world_keeps_its_bytes(tmp_path: Path) -> None:
    simulate(tmp_path / "logs", SMALL, seed=7)
    files = read_manifest(tmp_path / "logs").files
    assert {name: files[name][:16] for name in KNOWN_BYTES} == KNOWN_BYTES


def test_parquet_holds_the_same_rows_as_csv(folders: tuple[Path, Path]) -> None:
    flat, columnar = folders
    names = ("rec_inter", "src_inter", "social_network", "user_features", "item_features")
    for name in (*names, "terms", "titles"):
        path = columnar / name
        table = pq.read_table(path if path.is_dir() else path.with_suffix(".parquet"))
        rows = csv_rows(flat / f"{name}.csv")
        assert table.num_rows == len(rows) > 0 and table.column_names == list(rows[0])
        for place in (0, len(rows) // 2, len(rows) - 1):
            for column, value in table.slice(place, 1).to_pylist()[0].items():
                text = rows[place][column]
                expected = as_csv_text(value)
                assert text in (expected, f"{expected}.0", expected.partition(".")[0])


def test_parquet_types_are_native(folders: tuple[Path, Path]) -> None:
    schema = pq.read_table(folders[1] / "src_inter").schema
    for name in ("user_id", "item_id", "search_session_id", "search_session_timestamp"):
        assert schema.field(name).type == pa.int64()
    assert schema.field("keyword").type == pa.list_(pa.int64())
    rec = pq.read_table(folders[1] / "rec_inter").schema
    assert rec.field("timestamp").type == rec.field("click").type == pa.int64()
    assert {p.name for p in (folders[1] / "rec_inter").iterdir()} == {
        f"part-{shard:04d}.parquet" for shard in range(3)
    }


def test_both_formats_give_the_same_events(folders: tuple[Path, Path]) -> None:
    flat, columnar = ingest("synthetic", folders[0]), ingest("synthetic_parquet", folders[1])
    assert flat.users.ids == columnar.users.ids and flat.items.ids == columnar.items.ids
    for name, column in flat.columns.items():
        assert (column == columnar.columns[name]).all(), name
    texts = [[e.queries.names[q] for q in e.query[e.is_search]] for e in (flat, columnar)]
    assert texts[0] == texts[1]


def test_a_shard_does_not_depend_on_the_shards_before() -> None:
    first = draw_timeline(plant_world(SHARDED, 7, shard=2), 7)
    plant_world(SHARDED, 7, shard=0)
    again = draw_timeline(plant_world(SHARDED, 7, shard=2), 7)
    assert (first.time == again.time).all() and (first.user == again.user).all()
    other = draw_timeline(plant_world(SHARDED, 7, shard=1), 7)
    assert len(other) != len(first) or (other.time != first.time).any()


def test_more_users_leave_the_full_shards_as_they_are(
    folders: tuple[Path, Path], tmp_path: Path
) -> None:
    more = SHARDED.model_copy(update={"num_users": 200})
    simulate(tmp_path / "more", more, seed=7, format="parquet")
    old, new = read_manifest(folders[1]).files, read_manifest(tmp_path / "more").files
    for part in ("rec_inter/part-0000.parquet", "src_inter/part-0001.parquet"):
        assert old[part] == new[part]
    assert "rec_inter/part-0003.parquet" in new


def test_shards_number_their_users_and_communities_through(folders: tuple[Path, Path]) -> None:
    truth = pq.read_table(folders[0] / "truth" / "communities.parquet").to_pydict()
    assert truth["user_id"] == list(range(1, 151))
    community = np.array(truth["community"])
    assert not set(community[:60]) & set(community[60:120])
    known = {int(row["user_id"]) for row in csv_rows(folders[0] / "rec_inter.csv")}
    assert {1, 61, 121} & known and max(known) <= 150
    for row in csv_rows(folders[0] / "social_network.csv"):
        shard = (int(row["user_id"]) - 1) // 60
        friends = [int(f) for f in row["user_follow_id"].strip("[]").split(", ") if f]
        assert all((friend - 1) // 60 == shard for friend in friends)


def test_without_similar_users_following_means_nothing(tmp_path: Path) -> None:
    close = {}
    for switch in (True, False):
        config = SimulateConfig.preset("tiny", num_users=600, similar_users=switch)
        out = simulate(tmp_path / str(switch), config, seed=1).path
        member = pq.read_table(out / "truth" / "communities.parquet")["community"].to_numpy()
        pairs = [
            (int(row["user_id"]) - 1, int(friend) - 1)
            for row in csv_rows(out / "social_network.csv")
            for friend in row["user_follow_id"].strip("[]").split(", ")
            if friend
        ]
        close[switch] = np.mean([member[a] == member[b] for a, b in pairs])
    assert close[True] > 0.7
    assert close[False] < 0.15  # about one in 15 communities


def test_sinks_write_parts_under_one_header(tmp_path: Path) -> None:
    columns = {
        "id": np.array([3, 4]),
        "seconds": Decimal(np.array([7, -1])),
        "name": Repeated(pa.array(["a", "空"]), np.array([1, 0])),
        "ids": id_lists(np.array([[0, 4, -1], [-1, -1, -1]])),
        "kind": "X",
        "flag": np.array([True, False]),
    }
    with CsvSink(tmp_path / "a.csv") as sink:
        sink.write(columns)
        sink.write(columns)
    lines = '3,7.0,空,"[1, 5]",X,1\n4,-1.0,a,"[]",X,0\n'
    expected = "id,seconds,name,ids,kind,flag\n" + lines + lines
    assert (tmp_path / "a.csv").read_text(encoding="utf-8") == expected
    with ParquetSink(tmp_path / "a.parquet") as file:
        file.write(columns)
    assert pq.read_table(tmp_path / "a.parquet").to_pylist() == [
        {"id": 3, "seconds": 7, "name": "空", "ids": [1, 5], "kind": "X", "flag": 1},
        {"id": 4, "seconds": -1, "name": "a", "ids": [], "kind": "X", "flag": 0},
    ]


def test_an_empty_part_still_makes_a_readable_file(tmp_path: Path) -> None:
    nothing = {"id": np.empty(0, np.int64), "kind": "X"}
    with CsvSink(tmp_path / "a.csv") as flat, ParquetSink(tmp_path / "a.parquet") as columnar:
        flat.write(nothing)
        columnar.write(nothing)
    assert (tmp_path / "a.csv").read_text() == "id,kind\n"
    assert pq.read_table(tmp_path / "a.parquet").num_rows == 0


def test_presets_are_worlds_that_can_be_changed(tmp_path: Path) -> None:
    for name, changes in PRESETS.items():
        made = SimulateConfig.preset(name, num_users=7).model_dump()
        assert made["num_users"] == 7 and made | changes | {"num_users": 7} == made
    with pytest.raises(ConfigError, match="did you mean 'kuaisar'"):
        SimulateConfig.preset("kuaisr")
    with pytest.raises(ConfigError, match="unknown key 'num_user'"):
        SimulateConfig.preset("tiny", num_user=3)
    with pytest.raises(ConfigError, match="one of them"):
        simulate(tmp_path / "a", SMALL, preset="tiny")
    with pytest.raises(ConfigError, match="did you mean 'parquet'"):
        simulate(tmp_path / "a", SMALL, format="parqet")  # type: ignore[arg-type]
    assert not (tmp_path / "a").exists()


def test_each_single_switch_preset_switches_one_thing() -> None:
    switches = {name for name in PRESETS if name.startswith("no_")} - {"no_transitions"}
    assert len(switches) == 5
    for name in switches:
        assert list(PRESETS[name].values()) == [False]
    everything = {key for name in switches for key in PRESETS[name]}
    assert everything == set(PRESETS["null"])


def test_the_parquet_recipe_reads_what_the_csv_recipe_reads() -> None:
    flat, columnar = (read_recipe(name).model_dump() for name in ("synthetic", "synthetic_parquet"))
    for recipe in (flat, columnar):
        del recipe["name"], recipe["about"]
        for part in (*recipe["tables"], *recipe["lookups"]):
            part["file"] = part["file"].partition("/")[0].partition(".")[0]
            del part["format"], part["many"]
    assert flat == columnar
