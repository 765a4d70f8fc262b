"""The largest numbers before each moment: windows that move on by little have most of their largest in common."""

from collections.abc import Iterator
from typing import TypeAlias

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.float64]

NONE = -1.0
"""Less than every number of which there is a largest."""


class Groups:
    """Numbers (rows, columns) in groups of `size` columns, each in ascending order, and what is known of more of them.

    NONE where there is no number; of a group no more than `most` are ever asked for.
    """

    def __init__(self, known: Floats, size: int, most: int) -> None:
        count = -(-known.shape[1] // size)
        self._plain = np.full((len(known), count, size), NONE)
        self._plain.reshape(len(known), -1)[:, : known.shape[1]] = known
        self._columns, self.most = known.shape[1], most
        self._powers = [np.sort(self._plain, axis=2)[:, :, -most:]]

    def tops(self, every: int, spans: int, most: int, since: int) -> Iterator[tuple[slice, Floats]]:
        """The `most` largest of the `spans` pieces before each moment from `since` on, in ascending order.

        A piece is `every` columns, a part of a group. First of the first moment of each group, then of the second ones,
        and so on; the numbers go down the first axis, the second has the rows at one of these moments, at the next ...
        """
        rows, count, size = self._plain.shape
        pieces, first = size // every, since * every // size
        common = max(0, (spans - pieces + 1) // pieces)
        shared = self._before(common, most)[:, first:]
        tops = np.empty((rows, count - first, most))
        for place in range(pieces):
            _merge(shared, self._rest(every, spans, common, place)[:, first:], tops)
            some = slice(first * pieces + place, self._columns // every, pieces)
            yield some, _lanes(tops[:, : len(range(self._columns // every)[some])])

    def _before(self, count: int, most: int) -> Floats:
        """The `most` largest of the `count` groups before each, or as many as there are.

        Of two groups, of four, of eight ..., of which those that make `count` are put together.
        """
        answer, done = self._plain[:, :, :0], 0
        for place in range(count.bit_length()):
            if len(self._powers) <= place:
                last = self._powers[-1]
                self._powers.append(_joined(last, last, 1 << place - 1, self.most))
            if count >> place & 1:
                answer = _joined(answer, self._powers[place], done + 1, most)
                done += 1 << place
        return answer

    def _rest(self, every: int, spans: int, common: int, place: int) -> Floats:
        """What else is in the window before the piece at that place of each group, in ascending order."""
        rows, count, size = self._plain.shape
        pieces = spans - common * (size // every)
        earlier = max(0, pieces - place) * every
        rest = np.empty((rows, count, pieces * every))
        rest[:, :, earlier:] = self._plain[:, :, max(0, place - pieces) * every : place * every]
        if earlier:
            padded = np.full((rows, spans * every + count * size), NONE)
            padded[:, spans * every :] = self._plain.reshape(rows, -1)
            stretches = sliding_window_view(padded, earlier, axis=1)
            rest[:, :, :earlier] = stretches[:, place * every :: size][:, :count]
        rest.sort(axis=2)
        return rest


def _lanes(tops: Floats) -> Floats:
    return np.ascontiguousarray(tops.transpose(2, 1, 0)).reshape(tops.shape[2], -1)


def _joined(some: Floats, others: Floats, by: int, most: int) -> Floats:
    """The largest of both in each group, the others `by` groups later."""
    rows, count, many = some.shape
    answer = np.empty((rows, count, min(most, many + others.shape[2])))
    answer[:, :by, : answer.shape[2] - many], answer[:, :by, answer.shape[2] - many :] = NONE, some[:, :by]
    _merge(some[:, by:], others[:, : max(0, count - by)], answer[:, by:])
    return answer


def _merge(some: Floats, others: Floats, out: Floats) -> None:
    """Fill `out` with the largest of both, and NONE for what they lack; all are in ascending order.

    They are the larger of one's k-th least and the other's k-th largest, for every k (Batcher 1968).
    """
    low, many = out.shape[2] - some.shape[2], min(out.shape[2], others.shape[2])
    out[:, :, :low], out[:, :, low:] = NONE, some
    if low == out.shape[2]:
        out[:, :, low - many :] = others[:, :, others.shape[2] - many :]
    elif many:
        np.maximum(out[:, :, :many], others[:, :, ::-1][:, :, :many], out=out[:, :, :many])
        out.sort(axis=2)
