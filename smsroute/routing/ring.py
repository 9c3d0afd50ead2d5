"""Exact counts of the last so many seconds, in buckets that rotate with time.

Rules:
- The totals are kept beside the buckets, so reading costs nothing; a bucket that is too old leaves them in one step.
- Whoever counts looks at `ends_at` first, in line: a call for each answer would cost more than the counting.

Walk: `score` (answers, 30 s) and `receipts_score` (receipts, 30 min) keep one each.
"""

from __future__ import annotations


class Ring:
    """Exact counts of the last `buckets` x `bucket_s` seconds, one column per thing counted."""

    __slots__ = ("_at", "_bucket_s", "_rows", "ends_at", "row", "totals")

    def __init__(self, columns: int, buckets: int, bucket_s: float, now: float) -> None:
        self._bucket_s = bucket_s
        self._rows = [[0.0] * columns for _ in range(buckets)]
        self._at = 0
        self.row = self._rows[0]
        self.totals = [0.0] * columns
        self.ends_at = now + bucket_s

    def rotate(self, now: float) -> None:
        """Let go of the buckets that are too old. Call when `now` >= `ends_at`, before counting."""
        steps = int((now - self.ends_at) / self._bucket_s) + 1
        for _ in range(min(steps, len(self._rows))):
            self._at = (self._at + 1) % len(self._rows)
            self.row = self._rows[self._at]
            for column, value in enumerate(self.row):
                self.totals[column] -= value
                self.row[column] = 0
        self.ends_at += steps * self._bucket_s

    def clear(self) -> None:
        """Forget everything counted."""
        for row in (*self._rows, self.totals):
            row[:] = [0.0] * len(row)
