"""The hidden part of the demand generator over many pairs, with a gradient of its own."""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F

from sargraph.nn.pair_kernels import mix_words, read_pairs, return_pairs
from sargraph.nn.sparse import SparseMatrix, bag

tanh_backward = torch.ops.aten.tanh_backward.grad_input

CHUNK = 1024
"""Pairs at a time, so that what is between two products stays in cache."""


def pair_features(
    of_user: Float[Tensor, "users dim_plus_hidden"],
    of_item: Float[Tensor, "items hidden"],
    words: Float[Tensor, "terms dim"],
    terms: Int[Tensor, "items length"],
    pairs: tuple[Int[Tensor, " pairs"], Int[Tensor, " pairs"]],
    layers: tuple[Tensor, Tensor, Tensor],
    matrix: SparseMatrix | None = None,
    buffers: Buffers | None = None,
) -> Float[Tensor, "rows hidden"]:
    """h2 of each pair (users, items), or `matrix @ h2` where a matrix [rows, pairs] is given.

    ```
    c  = sum_t softmax_t(ask_u . y_t) y_t
    h1 = tanh(hidden_u + hidden_i + c W^T)       h2 = tanh(h1 V^T + b)
    ```
    where `of_user` holds [ask_u; hidden_u], `of_item` hidden_i, `layers` = (W, V, b). On the
    processor the pairs run in chunks through compiled loops; h1, h2 and the softmax weights are
    kept for the gradient, O(pairs (2 hidden + length)) memory, and neither h2's gradient nor
    anything per pair and word is ever made whole. Elsewhere torch does the same step by step.
    Pairs sorted by item run fastest. Cost: 2 (dim + hidden) hidden multiply-adds per pair, twice
    that for the gradient.
    """
    if of_user.device.type != "cpu":
        features = plain_features(of_user, of_item, words, terms, pairs, layers)
        return features if matrix is None else matrix.matmul(features)
    for rows, table in zip(pairs, (of_user, of_item), strict=True):
        _check_rows(rows, 0, len(table))
    _check_rows(terms, -1, len(words))
    given = (of_user, of_item, words, *layers)
    keep = torch.is_grad_enabled() and any(each.requires_grad for each in given)
    lent = buffers if keep and matrix is not None else None
    result: Tensor = _PairFeatures.apply(*pairs, terms.contiguous(), matrix, keep, lent, *given)
    return result


def plain_features(
    of_user: Float[Tensor, "users dim_plus_hidden"],
    of_item: Float[Tensor, "items hidden"],
    words: Float[Tensor, "terms dim"],
    terms: Int[Tensor, "items length"],
    pairs: tuple[Int[Tensor, " pairs"], Int[Tensor, " pairs"]],
    layers: tuple[Tensor, Tensor, Tensor],
) -> Float[Tensor, "pairs hidden"]:
    """The same h2 from torch's own operations, for any device; O(pairs length dim) memory."""
    of_context, second, bias = layers
    dim = words.shape[1]
    user, item = pairs
    asked, valid = words[terms[item].clamp(min=0)], terms[item] >= 0
    logit = torch.einsum("nd,ntd->nt", of_user[user, :dim], asked)
    weight = logit.masked_fill(~valid, torch.finfo(logit.dtype).min).softmax(1) * valid
    context = torch.einsum("nt,ntd->nd", weight, asked)
    first = torch.tanh(of_user[user, dim:] + of_item[item] + F.linear(context, of_context))
    return torch.tanh(F.linear(first, second, bias))


class Buffers:
    """Large arrays that one step after another uses: fresh pages cost more than what fills them."""

    def __init__(self) -> None:
        self.idle: list[Tensor] = []

    def __deepcopy__(self, memo: dict[int, Any]) -> Buffers:
        return Buffers()


class Loan:
    """Arrays for one forward and its backward pass; they go back when its graph is gone."""

    def __init__(
        self, like: Tensor, shapes: list[tuple[int, int]], buffers: Buffers | None
    ) -> None:
        self.buffers, self.tensors = buffers, []
        for shape in shapes:
            flat = self._idle(like, shape[0] * shape[1])
            self.tensors.append(flat[: shape[0] * shape[1]].view(shape))

    def _idle(self, like: Tensor, size: int) -> Tensor:
        idle = self.buffers.idle if self.buffers is not None else []
        for place, flat in enumerate(idle):
            if flat.dtype == like.dtype and size <= len(flat) <= 2 * size:
                return idle.pop(place)
        return like.new_empty(size)

    def __del__(self) -> None:
        if self.buffers is not None:
            self.buffers.idle = [each._base for each in self.tensors if each._base is not None]


class _PairFeatures(torch.autograd.Function):
    """`pair_features` on the processor."""

    @staticmethod
    def forward(
        ctx: Any,
        user: Tensor,
        item: Tensor,
        terms: Tensor,
        matrix: SparseMatrix | None,
        keep: bool,
        buffers: Buffers | None,
        *given: Tensor,
    ) -> Tensor:
        of_user, of_item, words, of_context, second, bias = given = tuple(
            each.contiguous() for each in given
        )
        size, hidden = len(user), second.shape[0]
        rows = size if keep else min(size, CHUNK)
        loan = Loan(of_user, [(rows, hidden), (size, hidden), (rows, terms.shape[1])], buffers)
        first, features, weights = loan.tensors
        context = of_user.new_empty(min(size, CHUNK), words.shape[1])
        for part in parts(size):
            here = part if keep else slice(0, part.stop - part.start)
            mixed = context[: part.stop - part.start]
            read_pairs(
                *_arrays(of_user, of_item, words, terms, user[part], item[part]),
                *_arrays(mixed, first[here], weights[here]),
            )
            torch.addmm(first[here], mixed, of_context.t(), out=first[here]).tanh_()
            torch.addmm(bias, first[here], second.t(), out=features[part]).tanh_()
        if keep:
            ctx.matrix, ctx.loan = matrix, loan
            ctx.save_for_backward(user, item, terms, first, weights, features, *given)
        return features if matrix is None else bag(matrix.csr, features)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        user, item, terms, first, weights, features, *given = ctx.saved_tensors
        of_user, _, words, of_context, second, _ = given
        totals = [torch.zeros_like(each) for each in given]
        sent = grads[0].contiguous()
        context = of_user.new_empty(min(len(user), CHUNK), words.shape[1])
        for part in parts(len(user)):
            size = part.stop - part.start
            mixed, h1, h2 = context[:size], first[part], features[part]
            if ctx.matrix is None:
                grad = sent[part].clone()
            else:
                grad = bag(ctx.matrix.transposed, sent, part)
            tanh_backward(grad, h2, grad_input=grad)
            totals[4].addmm_(grad.t(), h1)
            totals[5] += grad.sum(0)
            grad = grad @ second
            tanh_backward(grad, h1, grad_input=grad)
            mix_words(*_arrays(words, terms, item[part], weights[part], mixed))
            totals[3].addmm_(grad.t(), mixed)
            torch.mm(grad, of_context, out=mixed)
            return_pairs(
                *_arrays(of_user, words, terms, user[part], item[part], weights[part]),
                *_arrays(mixed, grad, *totals[:3]),
            )
        return (None, None, None, None, None, None, *totals)


def parts(length: int) -> list[slice]:
    """Slices of CHUNK that cover 0 .. length."""
    return [slice(start, min(start + CHUNK, length)) for start in range(0, length, CHUNK)]


def _check_rows(rows: Tensor, lowest: int, size: int) -> None:
    """Compiled loops read without looking."""
    if rows.numel() and (int(rows.min()) < lowest or int(rows.max()) >= size):
        found = f"{int(rows.min())}..{int(rows.max())}"
        raise IndexError(f"got rows {found}, expected {lowest}..{size - 1}")


def _arrays(*tensors: Tensor) -> list[Any]:
    return [tensor.detach().numpy() for tensor in tensors]
