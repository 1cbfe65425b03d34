"""The protocol: every choice that fixes an evaluation number, in one object with one hash."""

from __future__ import annotations

import json
import tomllib
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from sargraph.core.artifact import hash_of
from sargraph.core.config import Config, parse_config
from sargraph.core.errors import ConfigError

FULL_REQUESTS = 1000
"""Requests ranked against the whole catalogue unless the protocol says otherwise."""

MAIN_CUTOFF = 10
"""The k of the primary metric wherever it is judged, so that reports can be laid side by side."""

_NAMES = {"full": "full", "within_tie": "within tie", "slate": "slate"}
_OF_PART = {"test": "", "valid": "validation "}
_ASKED = {"both": "requests", "search": "search requests", "recommend": "recommendation requests"}
_REPEATED = {
    "keep": "",
    "first": "; of repeats of one (user, query, target) the earliest",
    "new": "; only targets that the user never chose before",
}
_DRAWN = {
    "uniform": "uniform negatives, none a known positive of the user",
    "popularity": "negatives in proportion to 1 + training choices, none a known positive",
    "file": "negatives from given lists",
}


class Protocol(Config):
    """How models are judged; two figures may be compared only under one protocol.

    Raises ConfigError for settings that contradict each other.
    """

    name: str = "sampled"
    """What the report calls this protocol."""
    part: Literal["valid", "test"] = "test"
    """The part of the split whose choices are asked for."""
    what: Literal["both", "search", "recommend"] = "both"
    """The requests that are judged: those with a query, those without, or both."""
    repeated: Literal["keep", "first", "new"] = "keep"
    """All requests; of several of one (user, query, target) the earliest; or new targets only."""
    candidates: Literal["sampled", "full", "within_tie", "slate"] = "sampled"
    """The target among sampled negatives, in the whole catalogue, among the items with its very
    terms, or among the items that were really shown."""
    negatives: Literal["uniform", "popularity", "file"] = "uniform"
    """How negatives are sampled: alike, by 1 + training choices, or not at all: lists are given."""
    num_negatives: int = Field(default=99, ge=1)
    """Negatives per request; only used when candidates are sampled."""
    negatives_hash: str = ""
    """Hash of the given lists of negatives (`candidates.lists_hash`); others are refused."""
    max_requests: int = Field(default=0, ge=0)
    """Judge a seeded choice of so many requests; 0 = all. Full rankings default to 1,000."""
    remove_seen: bool = False
    """Leave items that the user chose before out of a full ranking (never the target)."""
    cutoffs: tuple[int, ...] = (1, 5, 10)
    """The k of HR@k and NDCG@k, rising."""
    num_bootstrap: int = Field(default=1000, ge=100)
    """Resamples of users behind each interval."""
    order_known: bool = True
    """False where the log gives no order inside one time, so that a history's order is unknown."""
    seed: int = 0
    """Fixes the chosen requests, the negatives, the order of candidates and the resamples."""

    @model_validator(mode="before")
    @classmethod
    def _fill(cls, data: Any) -> Any:
        """A name and, for a full ranking, a limit that follow from the candidates."""
        kind = data.get("candidates") if isinstance(data, dict) else None
        if kind not in _NAMES:
            return data
        limit = {"max_requests": FULL_REQUESTS} if kind == "full" else {}
        return {"name": _NAMES[kind], **limit, **data}

    @field_validator("cutoffs")
    @classmethod
    def _rising(cls, cutoffs: tuple[int, ...]) -> tuple[int, ...]:
        if not cutoffs or cutoffs[0] < 1 or list(cutoffs) != sorted(set(cutoffs)):
            raise ValueError("expected rising cutoffs of at least 1, such as [1, 5, 10]")
        return cutoffs

    @model_validator(mode="after")
    def _agree(self) -> Protocol:
        """Refuse a setting that says nothing, or something else, beside the others."""
        sampled, from_file = self.candidates == "sampled", self.negatives == "file"
        where = f"candidates = '{self.candidates}'"
        clashes = {
            f"remove_seen = true with {where}; only candidates = 'full' can leave seen items out":
                self.remove_seen and self.candidates != "full",
            f"negatives = '{self.negatives}' with {where}; only 'sampled' has negatives":
                self.negatives != "uniform" and not sampled,
            f"num_negatives = {self.num_negatives} with {where}; only 'sampled' has negatives":
                self.num_negatives != 99 and not sampled,
            f"negatives_hash with negatives = '{self.negatives}'; only 'file' takes given lists":
                bool(self.negatives_hash) and not from_file,
            "negatives = 'file' without negatives_hash; give candidates.lists_hash(lists)":
                from_file and not self.negatives_hash,
        }  # fmt: skip
        for text, clash in clashes.items():
            if clash:
                raise ConfigError(f"protocol '{self.name}' contradicts itself: got {text}")
        return self

    @property
    def main_cutoff(self) -> int:
        """The k of the primary metric and of coverage: 10, or the largest cutoff without it."""
        return MAIN_CUTOFF if MAIN_CUTOFF in self.cutoffs else self.cutoffs[-1]

    @property
    def hash(self) -> str:
        """SHA-256 over all fields: equal hashes mean equal protocols."""
        return hash_of(self.model_dump(mode="json"))

    def candidates_text(self) -> str:
        """The candidates in a few signs, for the column of a table: `1+99`, `all unseen items`.

        Protocols of other candidates, negatives, repeats or part of the split have other texts.
        """
        kinds = {"uniform": "", "popularity": " popular", "file": " file"}
        text = {
            "sampled": f"1+{self.num_negatives}{kinds[self.negatives]}",
            "full": "all unseen items" if self.remove_seen else "all items",
            "within_tie": "within tie",
            "slate": "slate",
        }[self.candidates]
        repeats = {"keep": "", "first": ", first of repeats", "new": ", new targets"}
        return text + repeats[self.repeated] + (", validation" if self.part == "valid" else "")

    def describe(self) -> list[str]:
        """The protocol in readable lines, to be printed with the numbers."""
        asked = f"all {_OF_PART[self.part]}{_ASKED[self.what]}"
        if self.max_requests:
            asked = f"a seeded choice of {self.max_requests:,}, spread over users, of {asked}"
        order = "" if self.order_known else "; order unknown within equal times"
        return [
            f"protocol {self.name} ({self.hash[:12]}), seed {self.seed}",
            f"candidates: {self._against()}",
            f"requests: {asked}{_REPEATED[self.repeated]}; unit: the user{order}",
            "ties: expectation over fair draws; candidates are shuffled; NaN earns nothing",
            "intervals: 95 %, hierarchical bootstrap over users and seeds, "
            f"{self.num_bootstrap:,} resamples",
        ]

    def _against(self) -> str:
        if self.candidates == "sampled":
            lists = f" ({self.negatives_hash[:12]})" if self.negatives_hash else ""
            return f"the target against {self.num_negatives} {_DRAWN[self.negatives]}{lists}"
        if self.candidates == "full":
            kept = "removed" if self.remove_seen else "kept"
            return f"the target against the whole catalogue, seen items {kept}"
        if self.candidates == "within_tie":
            return "the target against the items with exactly its terms, where there are any"
        return "the target against the items shown beside it"

    def to_toml(self) -> str:
        """The protocol as TOML; `from_toml` reads it."""
        fields = self.model_dump(mode="json").items()
        lines = [f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in fields]
        return "\n".join([*lines, ""])

    @classmethod
    def from_toml(cls, text: str, where: str = "protocol.toml") -> Protocol:
        """Read what `to_toml` wrote. Raises ConfigError, with `where` in its line."""
        try:
            return parse_config(cls, tomllib.loads(text), where)
        except tomllib.TOMLDecodeError as error:
            raise ConfigError(f"{where} is not readable TOML ({error}); mend the file") from None
