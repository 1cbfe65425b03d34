"""The store: locks of living processes, damaged pieces, leftovers, costs."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest

from sargraph.core.artifact import writing
from sargraph.pipeline.grid.cost import Cost, measured, peak_memory
from sargraph.pipeline.grid.store import Store, locked, read_cost, write_cost


def make(path, text="x"):
    with writing(path, "test") as folder:
        (folder / "x").write_text(text)
    return path


def read(path):
    return (path / "x").read_text()


def test_inputs_and_version_make_the_place(tmp_path, monkeypatch):
    store = Store(tmp_path)
    place = store.path("cell", {"a": 1, "b": 2})
    assert place == store.path("cell", {"b": 2, "a": 1})
    assert place != store.path("cell", {"a": 1, "b": 3}) != store.path("fit", {"a": 1, "b": 3})
    monkeypatch.setattr("sargraph.__version__", "9")
    assert place != store.path("cell", {"a": 1, "b": 2})


@pytest.mark.parametrize("harm", ["edit", "cut", "lose", "manifest", "no manifest"])
def test_a_damaged_piece_is_named_and_removed(tmp_path, harm):
    store = Store(tmp_path)
    path = make(store.path("cell", {}))
    assert store.take(path, read) == "x"
    if harm == "edit":
        (path / "x").write_text("y")
    elif harm == "cut":
        (path / "x").write_bytes(b"")
    elif harm == "lose":
        (path / "x").unlink()
    elif harm == "manifest":
        (path / "manifest.json").write_text("{")
    else:
        (path / "manifest.json").unlink()
    assert store.take(path, read) is None
    assert not path.exists()
    assert len(store.remarks) == 1 and path.name in store.remarks[0]
    make(path)
    assert store.take(path, read) == "x"


def test_leftovers_of_the_killed_are_swept_and_others_stay(tmp_path):
    store = Store(tmp_path)
    path = store.path("cell", {})
    with locked(path):
        (tmp_path / f".{path.name}.abc").mkdir()
        (tmp_path / f".{path.name}.checkpoint.draft").write_text("")
        (tmp_path / ".other.abc").mkdir()
        store.sweep(path)
    assert sorted(p.name for p in tmp_path.iterdir()) == [f".{path.name}.lock", ".other.abc"]


def test_the_second_to_finish_takes_the_first_ones_piece(tmp_path):
    store = Store(tmp_path)
    path = make(store.path("cell", {}))

    def late(path):
        raise OSError("Directory not empty")

    assert store.finish(path, late, read) == "x"
    with pytest.raises(OSError, match="not empty"):
        store.finish(store.path("cell", {"other": 1}), late, read)


HOLDER = """
import sys, time
from pathlib import Path
from sargraph.pipeline.grid.store import locked
with locked(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_lock_is_held_by_the_living_only(tmp_path):
    pytest.importorskip("fcntl")
    path = tmp_path / "cell"
    holder = subprocess.Popen([sys.executable, "-c", HOLDER, path], stdout=subprocess.PIPE)
    try:
        assert holder.stdout is not None and holder.stdout.readline() == b"held\n"
        with locked(path, wait=False) as mine:
            assert not mine
    finally:
        holder.kill()  # SIGKILL: nothing is tidied up
        holder.wait()
    with locked(path, wait=False) as mine:
        assert mine
        with locked(tmp_path / "other", wait=False) as other:
            assert other


def test_costs_are_measured_kept_and_added(tmp_path):
    def work():
        block = bytearray(64 << 20)
        end = time.process_time() + 0.05
        while time.process_time() < end:
            pass
        return len(block)

    size, cost = measured(work)
    assert size == 64 << 20 and cost.cpu >= 0.05 and cost.wall >= 0.05
    assert cost.peak_mb >= 64 and peak_memory() >= 64
    child = "import time\nwhile time.process_time() < 0.2: pass"
    _, spent = measured(lambda: subprocess.run([sys.executable, "-c", child], check=True))
    assert spent.cpu >= 0.1  # the kernel counts a child in ticks of up to 10 ms, twice
    write_cost(tmp_path / "cost.json", cost)
    assert read_cost(tmp_path / "cost.json") == cost
    (tmp_path / "cost.json").write_text("{")
    assert read_cost(tmp_path / "cost.json").cpu != read_cost(tmp_path / "cost.json").cpu
    total = Cost(1, 2, 30.0) + Cost(10, 20, float("nan"))
    assert total == Cost(11, 22, 30.0)
