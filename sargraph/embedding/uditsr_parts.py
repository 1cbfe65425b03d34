"""Which parts a UDITSR network is made of, by its configuration."""

from __future__ import annotations

import torch
from torch import Tensor

from sargraph.core.errors import BadInputError
from sargraph.core.rng import torch_generator
from sargraph.embedding.uditsr_config import UDITSRConfig
from sargraph.nn.contexts import Contexts
from sargraph.nn.edges import check_rows
from sargraph.nn.intent import DemandIntent
from sargraph.nn.plain_intent import PlainIntent
from sargraph.nn.timed_intent import TimedIntent


def intent_of(config: UDITSRConfig, num_user_terms: int) -> DemandIntent | PlainIntent:
    """What makes the virtual queries."""
    if config.virtual_query == "timed":
        return TimedIntent(config.dim)
    if config.virtual_query == "generated" or config.virtual_query == "permuted":
        return DemandIntent(config.dim, num_user_terms)
    return PlainIntent(config.dim, config.virtual_query)


def permutations(
    config: UDITSRConfig, num_users: int, num_items: int
) -> tuple[Tensor, Tensor] | None:
    """Another user and another item for each, fixed by the seed, or None."""
    if config.virtual_query != "permuted":
        return None
    sizes = {"user": num_users, "item": num_items}
    user, item = (
        torch.randperm(size, generator=torch_generator(config.seed, "permuted", name))
        for name, size in sizes.items()
    )
    return user, item


def is_all(contexts: Contexts, num_users: int) -> bool:
    """True for all users in their order, whose vectors need no gathering."""
    if len(contexts) != num_users:
        return False
    return torch.equal(contexts.user, torch.arange(num_users, device=contexts.user.device))


def check_terms(name: str, terms: Tensor, num_rows: int, num_terms: int, padding: bool) -> None:
    """Raise BadInputError unless each node has its row of words, and all lie in the table."""
    if len(terms) != num_rows:
        raise BadInputError(f"{name}: got {len(terms)} rows, expected {num_rows}; one for each")
    check_rows(name, terms, num_terms, padding=padding)
