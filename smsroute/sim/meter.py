"""Latency figures that cost next to nothing: a histogram on a logarithmic scale.

Rules:
- Sixteen buckets to a doubling, so a quantile is true to about five per cent, from a microsecond to a day.
- A batch that shares one latency is one `add`. Histograms of several processes add up (`merge`, `as_dict`).

Walk: `SimEsme` keeps two (submit to response, submit to receipt); `tools/bench` merges them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final

STEPS: Final = 16
FLOOR_S: Final = 1e-6


class Histogram:
    """Counts of durations in seconds."""

    __slots__ = ("buckets", "count", "largest_s", "total_s")

    def __init__(self) -> None:
        self.buckets: dict[int, int] = {}
        self.count = 0
        self.total_s = 0.0
        self.largest_s = 0.0

    def add(self, seconds: float, times: int = 1) -> None:
        """Count `times` durations of `seconds` (below a microsecond counts as one)."""
        bucket = int(math.log2(seconds / FLOOR_S) * STEPS) if seconds > FLOOR_S else 0
        self.buckets[bucket] = self.buckets.get(bucket, 0) + times
        self.count += times
        self.total_s += seconds * times
        self.largest_s = max(self.largest_s, seconds)

    def quantile(self, share: float) -> float:
        """Seconds that `share` (0..1) of the durations stayed within; 0.0 when there are none."""
        left = share * self.count
        for bucket in sorted(self.buckets):
            left -= self.buckets[bucket]
            if left <= 0:
                return min(self.largest_s, FLOOR_S * 2 ** ((bucket + 0.5) / STEPS))
        return 0.0

    @property
    def mean_s(self) -> float:
        """Seconds; 0.0 when there are none."""
        return self.total_s / self.count if self.count else 0.0

    def merge(self, other: Mapping[str, object]) -> None:
        """Add what `as_dict` of another gave."""
        buckets = other["buckets"]
        assert isinstance(buckets, Mapping)
        for bucket, times in buckets.items():
            self.buckets[int(bucket)] = self.buckets.get(int(bucket), 0) + int(times)
            self.count += int(times)
        self.total_s += float(str(other["total_s"]))
        self.largest_s = max(self.largest_s, float(str(other["largest_s"])))

    def as_dict(self) -> dict[str, object]:
        """For JSON: figures for people, and the buckets for `merge`."""
        return {
            "count": self.count,
            "mean_ms": round(self.mean_s * 1e3, 3),
            "p50_ms": round(self.quantile(0.5) * 1e3, 3),
            "p99_ms": round(self.quantile(0.99) * 1e3, 3),
            "largest_s": round(self.largest_s, 6),
            "total_s": round(self.total_s, 6),
            "buckets": {str(bucket): self.buckets[bucket] for bucket in sorted(self.buckets)},
        }
