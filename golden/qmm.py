"""QMM: the product of two quantized matrices, by counting bits.

The array counts ``S = sum_k a_k & u_k`` over plane pairs; everything else is rank one (the computation flow
abstraction, in the manner of BETA, arXiv 2401.11851):

    bipolar right   T = 2S - r_i             r_i = row sums of the left codes
    bipolar left    T = 2S - c_j             c_j = row sums of the right codes (both operands are packed along K)
    both bipolar    T = 4S - 2r_i - 2c_j + K
    neither         T = S
"""

import numpy as np
from numpy.typing import NDArray

from golden.codes import Kind, check_kind, planes, values


def plane_pairs(left_kind: Kind, left_bits: int, right_kind: Kind, right_bits: int) -> list[tuple[int, int, bool, bool]]:
    """Plane pairs in the engine's order, from the most significant anti-diagonal down.

    Returns
    -------
    list of (p, q, double, subtract)
        Left plane, right plane, whether the accumulator doubles before this pair is added (significance
        dropped by one), and whether the pair subtracts (exactly one of the planes is a sign plane).
    """
    check_kind(left_kind, left_bits)
    check_kind(right_kind, right_bits)
    pairs = []
    for significance in range(left_bits + right_bits - 2, -1, -1):
        first = True
        for p in range(min(significance, left_bits - 1), -1, -1):
            q = significance - p
            if q >= right_bits:
                break
            sign = (left_kind is Kind.SIGNED and p == left_bits - 1) != (
                right_kind is Kind.SIGNED and q == right_bits - 1
            )
            pairs.append((p, q, first and bool(pairs), sign))
            first = False
    return pairs


def count(
    left: NDArray[np.integer], right: NDArray[np.integer], left_kind: Kind, left_bits: int, right_kind: Kind, right_bits: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """What the array counts: the bit sum S and the border sums, by Horner over the plane pairs.

    Parameters
    ----------
    left, right : int array, (rows, depth) and (columns, depth)
        Codes of the two operands, both packed along the contraction dimension.

    Returns
    -------
    s : int64 (rows, columns);  r : int64 (rows,);  c : int64 (columns,)
        ``r`` and ``c`` are the border column and row: the same planes against all ones. ``r`` is the row sum
        of the left codes when the right operand has one plane, ``c`` that of the right codes when the left
        one has; otherwise they are not used.
    """
    left_planes = planes(left, left_bits).astype(np.float64)
    right_planes = planes(right, right_bits).astype(np.float64)
    s = np.zeros((left_planes.shape[1], right_planes.shape[1]), np.int64)
    r = np.zeros(s.shape[0], np.int64)
    c = np.zeros(s.shape[1], np.int64)
    for p, q, double, subtract in plane_pairs(left_kind, left_bits, right_kind, right_bits):
        sign = -1 if subtract else 1
        if double:
            s, r, c = 2 * s, 2 * r, 2 * c
        # Products of 0 and 1 summed in float64 are exact far beyond any depth, and use BLAS.
        s = s + sign * (left_planes[p] @ right_planes[q].T).astype(np.int64)
        r = r + sign * left_planes[p].sum(-1).astype(np.int64)
        c = c + sign * right_planes[q].sum(-1).astype(np.int64)
    return s, r, c


def correct(
    s: NDArray[np.int64], r: NDArray[np.int64], c: NDArray[np.int64], left_kind: Kind, right_kind: Kind
) -> NDArray[np.int64]:
    """Border correction, without the constant K that the compiler folds into the rescale offset.

    ``(rows, columns)`` int64 from the counts of `count`.
    """
    left_bipolar, right_bipolar = left_kind is Kind.BIPOLAR, right_kind is Kind.BIPOLAR
    t = s << (left_bipolar + right_bipolar)
    if right_bipolar:
        t = t - (r << left_bipolar)[:, None]
    if left_bipolar:
        t = t - (c << right_bipolar)[None, :]
    return t


def correction_constant(depth: int, left_kind: Kind, right_kind: Kind) -> int:
    """The part of T that depends on the depth K only: K when both operands are bipolar, else 0."""
    return depth if left_kind is Kind.BIPOLAR and right_kind is Kind.BIPOLAR else 0


def qmm(
    left: NDArray[np.integer], right: NDArray[np.integer], left_kind: Kind, left_bits: int, right_kind: Kind, right_bits: int
) -> NDArray[np.int64]:
    """Exact product of two quantized matrices, computed as the hardware computes it.

    Parameters
    ----------
    left, right : int array, (rows, depth) and (columns, depth)
        Codes (0/1 for bipolar; values for signed).
    left_kind, right_kind : Kind
    left_bits, right_bits : int, 1..8

    Returns
    -------
    int64 array, (rows, columns)
        ``sum_k value(left[i, k]) * value(right[j, k])``.
    """
    s, r, c = count(left, right, left_kind, left_bits, right_kind, right_bits)
    return correct(s, r, c, left_kind, right_kind) + correction_constant(
        np.shape(left)[-1], left_kind, right_kind
    )


def product(left: NDArray[np.integer], right: NDArray[np.integer], left_kind: Kind, right_kind: Kind) -> NDArray[np.int64]:
    """The same product straight from the values; equal to `qmm` and faster for whole models."""
    a = values(left, left_kind).astype(np.float64)
    b = values(right, right_kind).astype(np.float64)
    return (a @ b.swapaxes(-1, -2)).astype(np.int64)


