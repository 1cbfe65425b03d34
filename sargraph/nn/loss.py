"""The losses of joint training: pairwise ranking, supervised demand, translation contrast."""

from __future__ import annotations

from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional as F


def bpr_loss(
    positive: Float[Tensor, " batch"], negative: Float[Tensor, " batch"]
) -> Float[Tensor, ""]:
    """`-mean log σ(s⁺ - s⁻)`: a positive should score above its negative; 0 for an empty batch.

    Source: Bayesian personalised ranking, UAI 2009, arXiv 1205.2618.
    """
    return _mean(-F.logsigmoid(positive - negative), len(positive))


def supervised_demand_loss(
    demand: Float[Tensor, "batch dim"],
    query: Float[Tensor, "batch dim"],
    is_search: Bool[Tensor, " batch"],
    per_batch: bool = False,
) -> Float[Tensor, ""]:
    """L_SG = mean over search rows of `||q~ - q||² / dim`; 0 without search rows.

    `per_batch` divides by all rows instead, as published: the loss then weighs less the fewer
    search rows a batch has. The gradient reaches the true query as well.

    Source: UDITSR, KDD 2024, arXiv 2407.00912.
    """
    distance = squared_distance(demand, query) * is_search
    rows = len(distance) if per_batch else int(is_search.sum())
    return _mean(distance, rows)


def translation_contrast_loss(
    user: Float[Tensor, "batch dim"],
    demand: Float[Tensor, "batch dim"],
    positive: Float[Tensor, "batch dim"],
    negative: Float[Tensor, "batch dim"],
) -> Float[Tensor, ""]:
    """L_CL: user plus demand should lie nearer to the positive item than to the negative one.

    `-mean log σ( D(i⁻) - D(i⁺) )`, `D(i) = ||u + q - i||² / dim`; 0 for an empty batch.

    Source: UDITSR, KDD 2024, arXiv 2407.00912.
    """
    wanted = user + demand
    margin = squared_distance(wanted, negative) - squared_distance(wanted, positive)
    return _mean(-F.logsigmoid(margin), len(margin))


def naming_loss(
    demand: Float[Tensor, "rows dim"],
    words: Float[Tensor, "terms dim"],
    terms: Int[Tensor, "rows length"],
) -> Float[Tensor, ""]:
    """A virtual query should name the words that were typed, among all words.

    `-mean over rows of mean over the row's words w of log softmax_w( demand · words )`; a row
    without words (-1) counts for nothing, and 0 comes of no rows. Cost: O(rows terms dim).
    """
    valid = terms >= 0
    named = F.log_softmax(demand @ words.t(), dim=1).gather(1, terms.clamp(min=0))
    share = valid / valid.sum(1, keepdim=True).clamp(min=1)
    return _mean(-(named * share).sum(1), int(valid.any(1).sum()))


def squared_distance(
    left: Float[Tensor, "batch dim"], right: Float[Tensor, "batch dim"]
) -> Float[Tensor, " batch"]:
    """`||left - right||² / dim` of each row."""
    return (left - right).square().mean(1)


def _mean(values: Tensor, count: int) -> Tensor:
    return values.sum() / max(count, 1)
