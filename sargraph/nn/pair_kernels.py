"""What a (user, item) pair reads of its user and its item, pair by pair, in compiled loops.

Pairs of one item that follow one another share the item's word vectors, which then stay in the
first cache; nothing of the size pairs x words x dim is ever made.
"""

from __future__ import annotations

import numpy as np
from numba import njit


@njit(cache=True, nogil=True, fastmath={"reassoc", "contract"})
def read_pairs(of_user, of_item, words, terms, users, items, context, hidden, weights):  # type: ignore[no-untyped-def]
    """Fill `context` [n, dim], `hidden` [n, h] and `weights` [n, length] of n pairs.

    `of_user` [users, dim + h] holds what a user asks of a word, then the user's part of the first
    layer; `of_item` [items, h] the item's part. weights = softmax_t(ask . y_t) over the item's
    valid `terms` [items, length] (-1 = none, weight 0), context = sum_t weights_t y_t.
    Cost: O(n (length dim + h)).
    """
    dim, length = words.shape[1], terms.shape[1]
    own = np.empty((length, dim), words.dtype)
    logit = np.empty(length, words.dtype)
    last = -1
    for n in range(len(users)):
        row, item = of_user[users[n]], items[n]
        if item != last:
            _words_of(own, words, terms[item])
            last = item
        highest = words.dtype.type(-np.inf)
        for t in range(length):
            if terms[item, t] >= 0:
                logit[t] = _dot(row, own[t], dim)
                highest = max(highest, logit[t])
        total = words.dtype.type(0)
        for t in range(length):
            weights[n, t] = np.exp(logit[t] - highest) if terms[item, t] >= 0 else 0
            total += weights[n, t]
        context[n] = 0
        for t in range(length):
            if weights[n, t] > 0:
                weights[n, t] /= total
                _add(context[n], own[t], weights[n, t])
        for j in range(hidden.shape[1]):
            hidden[n, j] = row[dim + j] + of_item[item, j]


@njit(cache=True, nogil=True, fastmath={"reassoc", "contract"})
def mix_words(words, terms, items, weights, context):  # type: ignore[no-untyped-def]
    """Fill `context` [n, dim] again from the kept `weights` [n, length]."""
    dim, length = words.shape[1], terms.shape[1]
    own = np.empty((length, dim), words.dtype)
    last = -1
    for n in range(len(items)):
        if items[n] != last:
            last = items[n]
            _words_of(own, words, terms[last])
        context[n] = 0
        for t in range(length):
            if weights[n, t] > 0:
                _add(context[n], own[t], weights[n, t])


@njit(cache=True, nogil=True, fastmath={"reassoc", "contract"})
def return_pairs(  # type: ignore[no-untyped-def]
    of_user, words, terms, users, items, weights, grad_context, grad_hidden,
    grad_of_user, grad_of_item, grad_words,
):  # fmt: skip
    """The gradient of `read_pairs`, added to `grad_of_user`, `grad_of_item` and `grad_words`.

    With g_t = grad_context . y_t the logits' gradient is l_t = w_t (g_t - sum_s w_s g_s), and then
    the ask receives sum_t l_t y_t, the word y_t receives w_t grad_context + l_t ask.
    """
    dim, length = words.shape[1], terms.shape[1]
    own = np.empty((length, dim), words.dtype)
    grad_own = np.zeros((length, dim), words.dtype)
    share = np.empty(length, words.dtype)
    last = -1
    for n in range(len(users)):
        item = items[n]
        if item != last:
            if last >= 0:
                _words_to(grad_own, grad_words, terms[last])
            _words_of(own, words, terms[item])
            last = item
        row, grad_row = of_user[users[n]], grad_of_user[users[n]]
        mean = words.dtype.type(0)
        for t in range(length):
            share[t] = 0
            if weights[n, t] > 0:
                share[t] = weights[n, t] * _dot(grad_context[n], own[t], dim)
                mean += share[t]
        for t in range(length):
            if weights[n, t] > 0:
                of_logit = share[t] - weights[n, t] * mean
                _add(grad_row, own[t], of_logit)
                _add(grad_own[t], grad_context[n], weights[n, t])
                _add(grad_own[t], row, of_logit)
        for j in range(grad_hidden.shape[1]):
            grad_row[dim + j] += grad_hidden[n, j]
            grad_of_item[item, j] += grad_hidden[n, j]
    if last >= 0:
        _words_to(grad_own, grad_words, terms[last])


@njit(cache=True, nogil=True, inline="always", fastmath={"reassoc", "contract"})
def _dot(left, right, dim):  # type: ignore[no-untyped-def]
    total = left.dtype.type(0)
    for j in range(dim):
        total += left[j] * right[j]
    return total


@njit(cache=True, nogil=True, inline="always", fastmath={"contract"})
def _add(total, vector, weight):  # type: ignore[no-untyped-def]
    for j in range(len(vector) if len(vector) < len(total) else len(total)):
        total[j] += weight * vector[j]


@njit(cache=True, nogil=True, inline="always")
def _words_of(own, words, terms):  # type: ignore[no-untyped-def]
    for t in range(len(terms)):
        if terms[t] >= 0:
            own[t] = words[terms[t]]


@njit(cache=True, nogil=True, inline="always")
def _words_to(grad_own, grad_words, terms):  # type: ignore[no-untyped-def]
    for t in range(len(terms)):
        if terms[t] >= 0:
            grad_words[terms[t]] += grad_own[t]
        grad_own[t] = 0


@njit(cache=True, nogil=True)
def add_places(total, asked, layered, terms):  # type: ignore[no-untyped-def]
    """Add to each row of `total` [n, dim + h] what the words at its places bring.

    `asked` [places, terms, dim] is one table per place, `layered` [terms, h] one for all; a place
    without a word (-1 in `terms` [n, places]) brings nothing. Cost: O(n places (dim + h)).
    """
    dim, hidden = asked.shape[2], layered.shape[1]
    for n in range(len(total)):
        for s in range(terms.shape[1]):
            word = terms[n, s]
            if word >= 0:
                for j in range(dim):
                    total[n, j] += asked[s, word, j]
                for j in range(hidden):
                    total[n, dim + j] += layered[word, j]


@njit(cache=True, nogil=True)
def return_places(grad, grad_asked, grad_layered, terms):  # type: ignore[no-untyped-def]
    """The gradient of `add_places`, added to `grad_asked` and `grad_layered`."""
    dim, hidden = grad_asked.shape[2], grad_layered.shape[1]
    for n in range(len(grad)):
        for s in range(terms.shape[1]):
            word = terms[n, s]
            if word >= 0:
                for j in range(dim):
                    grad_asked[s, word, j] += grad[n, j]
                for j in range(hidden):
                    grad_layered[word, j] += grad[n, dim + j]
