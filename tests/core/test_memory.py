"""Available memory: read from the system, from a container's limit, and made readable."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from sargraph.core import memory


@pytest.fixture
def container(tmp_path: Path, monkeypatch):
    """Write a container's limit, use and kept pages of files; returns the folder."""
    for name, text in (
        ("max", "5000000"),
        ("current", "3000000"),
        ("stat", "anon 7\ninactive_file 900\n"),
    ):
        (tmp_path / f"memory.{name}").write_text(text)
    monkeypatch.setattr(memory, "_CGROUP", tmp_path)
    return tmp_path


@pytest.fixture
def silent(tmp_path: Path, monkeypatch):
    """A system that says neither what is free nor that there is a container."""
    monkeypatch.setattr(memory, "_CGROUP", tmp_path / "none")
    monkeypatch.setattr(memory, "_MEMINFO", tmp_path / "none")


def test_there_is_some_memory():
    assert 1e7 < memory.available_memory() < 1e15


def test_a_container_lowers_it_and_pages_of_files_are_not_used_memory(container):
    assert memory.available_memory() == 2000900
    (container / "memory.stat").unlink()
    assert memory.available_memory() == 2000000
    (container / "memory.max").write_text("max")
    assert memory.available_memory() > 2000900


def test_it_is_never_negative(container):
    (container / "memory.current").write_text("6000000")
    assert memory.available_memory() == 0


def test_without_a_word_of_the_system_it_is_the_physical_memory(silent, monkeypatch):
    monkeypatch.setattr(memory.os, "sysconf", {"SC_PHYS_PAGES": 30, "SC_PAGE_SIZE": 4096}.get)
    assert memory.available_memory() == 30 * 4096


def test_a_system_that_names_no_free_memory_gives_its_physical_memory(
    silent, tmp_path, monkeypatch
):
    (tmp_path / "meminfo").write_text("MemTotal: 77 kB\n")
    monkeypatch.setattr(memory, "_MEMINFO", tmp_path / "meminfo")
    monkeypatch.setattr(memory.os, "sysconf", {"SC_PHYS_PAGES": 30, "SC_PAGE_SIZE": 4096}.get)
    assert memory.available_memory() == 30 * 4096


def test_where_even_the_physical_memory_is_unknown_it_is_infinite(silent, monkeypatch):
    monkeypatch.setattr(memory.os, "sysconf", lambda name: -1)
    assert memory.available_memory() == math.inf
    monkeypatch.delattr(memory.os, "sysconf")
    assert memory.available_memory() == math.inf


@pytest.mark.parametrize(
    ("number", "text"), [(12, "12 bytes"), (1234, "1.23 kB"), (12e6, "12 MB"), (1.2e13, "12.0 TB")]
)
def test_bytes_are_readable(number, text):
    assert memory.readable_bytes(number) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (3, "3 seconds"),
        (119, "119 seconds"),
        (600, "10 minutes"),
        (7200, "2 hours"),
        (4e7, "463 days"),
    ],
)
def test_durations_are_readable(seconds, text):
    assert memory.readable_seconds(seconds) == text
