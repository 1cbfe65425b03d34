"""Ingestion of a large simulated log from Parquet, beside plain pandas and the floor of reading it.

    python benchmarks/ingest.py [--events 20000000] [--repeats 3] [--json] [--data DIR]

Three contenders read the same files, one after the other, each in a fresh process:

- sargraph: the whole ingestion. Ids and queries coded, rows judged, repeats merged, events ordered,
  sessions numbered, transitions labelled, fates counted, the artefact written and hashed.
- pandas: only coding of the three id columns, de-duplication, time order and the bounds of each
  user's block. It is given queries as texts through Arrow, because lists would slow it down.
- floor: Arrow reads the same columns and does nothing with them.

CPU seconds are those of the process (user + system, all threads), peak memory is its maximum
resident size. Medians over the repeats; the log is generated once and is not part of any figure.
"""

from __future__ import annotations

import argparse
import json
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from machine import goal, print_line

CONTENDERS = ("sargraph", "pandas", "floor")
RECIPE = """
name = "benchmark"
query_kind = "simulated"
[[tables]]
file = "src_inter/*.parquet"
many = true
format = "parquet"
source = "search"
user = "user_id"
item = "item_id"
time = { column = "search_session_timestamp", unit = "ms" }
query = { column = "keyword", list = "json", tokens = "ids" }
search = ["search_session_id", "search_session_timestamp"]
action = { column = "click_cnt", at_least = 1, yes = "click", no = "impression" }
[[tables]]
file = "rec_inter/*.parquet"
many = true
format = "parquet"
source = "recommend"
user = "user_id"
item = "item_id"
time = { column = "timestamp", unit = "ms" }
action = { column = "click", at_least = 1, yes = "click", no = "impression" }
"""
SEARCH = ["user_id", "item_id", "search_session_timestamp", "click_cnt", "keyword"]
RECOMMEND = ["user_id", "item_id", "timestamp", "click"]


def main() -> None:
    """Generate the log if it is not there, run the contenders, print what they took."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--events", type=int, default=20_000_000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--data", type=Path, help="keep the generated log in this folder")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--only", choices=CONTENDERS, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.only:
        print(json.dumps(_measured(given.only, given.data)))
        return
    with tempfile.TemporaryDirectory(prefix="sargraph.benchmark.") as scratch:
        data = given.data or Path(scratch) / "log"
        if not (data / "benchmark.toml").is_file():
            _generate(data, given.events)
        found = _run(data, given.repeats)
    _show(found, given.json)


def _generate(data: Path, num_events: int) -> None:
    """Simulate about so many rows of both logs; the number of users sets the size."""
    from sargraph.events.simulate import SimulateConfig, simulate

    rows_per_user = 215
    config = SimulateConfig(num_users=num_events // rows_per_user, num_items=200_000)
    simulate(data, config, format="parquet", seed=0)
    (data / "benchmark.toml").write_text(RECIPE, encoding="utf-8")


def _run(data: Path, repeats: int) -> dict[str, dict[str, float]]:
    """Medians of each contender; the contenders take turns."""
    runs: dict[str, list[dict[str, float]]] = {name: [] for name in CONTENDERS}
    for _ in range(repeats):
        for name in CONTENDERS:
            command = [sys.executable, __file__, "--only", name, "--data", str(data)]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                sys.exit(f"{name} failed:\n{done.stderr}")
            runs[name].append(json.loads(done.stdout.splitlines()[-1]))
    return {
        name: {key: statistics.median(run[key] for run in found) for key in found[0]}
        for name, found in runs.items()
    }


def _measured(name: str, data: Path) -> dict[str, float]:
    """Run one contender in this process and say what it took, its imports not counted."""
    work = {"sargraph": _sargraph, "pandas": _pandas, "floor": _floor}[name](data)
    wall, cpu = time.perf_counter(), time.process_time()
    rows = work()
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1 << 20)
    return {"rows": rows, "wall_s": wall, "cpu_s": cpu, "peak_gib": peak}


def _sargraph(data: Path) -> Any:
    from sargraph.events.ingest import ingest

    def work() -> int:
        out = Path(tempfile.mkdtemp(dir=data)) / "events"
        try:
            report = ingest(data / "benchmark.toml", data, out).report
        finally:
            shutil.rmtree(out.parent)
        fates = sum(report[fate] for fate in ("used", "merged", "filtered", "quarantined"))
        assert fates == report["rows"], "a row has no fate"
        return int(report["rows"])

    return work


def _read(data: Path) -> Any:
    import pyarrow.parquet as pq

    search = pq.read_table(data / "src_inter", columns=SEARCH)
    return search, pq.read_table(data / "rec_inter", columns=RECOMMEND)


def _floor(data: Path) -> Any:
    def work() -> int:
        return sum(len(table) for table in _read(data))

    return work


def _pandas(data: Path) -> Any:
    import numpy as np
    import pandas as pd
    import pyarrow as pa
    import pyarrow.compute as pc

    def work() -> int:
        search, recommend = _read(data)
        words = search["keyword"].combine_chunks()
        texts = pc.binary_join(words.cast(pa.list_(pa.string())), " ")
        names = ["user", "item", "time", "action"]
        logs = [
            search.drop_columns(["keyword"]).rename_columns(names).to_pandas(),
            recommend.rename_columns(names).to_pandas(),
        ]
        query = np.full(sum(map(len, logs)), -1)
        query[: len(texts)] = pd.factorize(texts.to_pandas(), sort=True)[0]
        is_search = np.repeat([True, False], [len(log) for log in logs])
        log = pd.concat(logs, ignore_index=True)
        log["query"], log["is_search"] = query, is_search
        for name in ("user", "item"):
            log[name] = pd.factorize(log[name], sort=True)[0]
        num_rows = len(log)
        log = log.drop_duplicates()
        log = log.sort_values(["user", "time"], kind="stable", ignore_index=True)
        bounds = np.cumsum(np.bincount(log["user"]))
        assert bounds[-1] == len(log)
        return num_rows

    return work


def _show(found: dict[str, dict[str, float]], as_json: bool) -> None:
    ours, peer = found["sargraph"], found["pandas"]
    print(f"{'':10}{'rows':>14}{'wall s':>10}{'CPU s':>10}{'rows/s':>14}{'peak GiB':>10}")
    for name, figures in found.items():
        rate = figures["rows"] / figures["wall_s"]
        print(
            f"{name:10}{figures['rows']:>14,.0f}{figures['wall_s']:>10.2f}{figures['cpu_s']:>10.2f}"
            f"{rate:>14,.0f}{figures['peak_gib']:>10.2f}"
        )
    goals = [
        goal("cpu_over_pandas", ours["cpu_s"] / peer["cpu_s"], 1.25),
        goal("wall_over_pandas", ours["wall_s"] / peer["wall_s"], 1.0),
        goal("peak_gb", ours["peak_gib"] * 1.073741824, 2.5),
    ]
    for one in goals:
        print(f"{one['name']}: {one['value']:.2f} (goal <= {one['goal']}, met: {one['met']})")
    if as_json:
        figures = {f"{n}_{key}": v for n, run in found.items() for key, v in run.items()}
        figures["events_per_s"] = ours["rows"] / ours["wall_s"]
        print_line("ingest", figures, goals)


if __name__ == "__main__":
    main()
