"""How a dot-product unit counts bits: what its RTL is built by, and its latency follows from.

Words are cut into lanes of `LANE` pairs, in each of which full adders pass their sum on and leave their carry; what is
left of each weight goes through counters of up to seven bits, stage by stage, until no more than three are left.
"""

#: Pairs of bits in a lane: one to begin with, two at each of four full adders.
LANE = 9


def counter_sizes(height: int) -> list[int]:
    """Sizes of the groups of bits that counters take from a column: sevens, and what is left of three bits or more."""
    sevens, rest = divmod(height, 7)
    return [7] * sevens + ([rest] if rest > 4 else [3] if rest > 2 else [])


def stages(heights: list[int]) -> int:
    """Counters in a row until no more than three bits of each weight are left, from so many of weights 1, 2, 4.."""
    count = 0
    while max(heights) > 3:
        after = [0] * (len(heights) + 2)
        for weight, height in enumerate(heights):
            sizes = counter_sizes(height)
            after[weight] += height - sum(sizes)
            for size in sizes:
                for bit in range(size.bit_length()):
                    after[weight + bit] += 1
        heights, count = after, count + 1
    return count


def unit_stages(depth: int) -> int:
    """Counters in a row in a unit for words of ``depth`` bits, and in a border unit, which keeps step with it."""
    lanes = depth // LANE
    return max(stages([depth - (LANE - 1) * lanes, LANE // 2 * lanes]), stages([depth]) - 1)
