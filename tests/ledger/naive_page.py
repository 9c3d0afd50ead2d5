"""The clerk's pages: what the naive ledger (`naive.py`) writes down of one part and of one attempt of it."""

from __future__ import annotations

import attrs

from smsroute.message import Accepted, Blame, Receipted, State

OPEN = (State.DUE, State.ATTEMPTED, State.IN_DOUBT, State.SUBMITTED)


@attrs.define
class Try:
    """One attempt."""

    carrier: str
    bind: str
    route: str
    reason: str
    at: float
    answered: tuple[float, int, int] | None = None
    name: str = ""
    key: str = ""
    doubted: str = ""
    withdrawn: bool = False
    resent: bool = False
    repeats: int = 0
    queried_at: float = 0.0
    told: int = 0
    told_by: float = 0.0
    bears: tuple[str, ...] = ()  # parts whose words went in this submit, beside its own
    borne_by: str = ""  # the part whose submit bore these words

    @property
    def hopeful(self) -> bool:
        return not self.withdrawn and not self.told

    @property
    def taken(self) -> bool:
        return self.answered is not None and self.answered[1] == Blame.OK

    @property
    def called(self) -> str:
        return self.key or self.name


@attrs.define
class Page:
    """All about one part."""

    said: Accepted
    number: int
    state: State = State.DUE
    carrier: str = ""
    route: str = ""
    due_at: float = 0.0
    waiting: bool = False
    tries: list[Try] = attrs.Factory(list)
    facts: list[str] = attrs.Factory(list)
    ended: int = 0  # the how-manieth event ended it
    ended_at: float = 0.0
    why: str = ""
    err: str = ""
    told_at: float = 0.0
    rested: int = 0
    message: str = ""
    heard_of: Receipted | None = None
    as_one: bool = False  # its message is told of, not itself
    notice: list[float] | None = None  # the last word on the way: state, when it was said, when it was told
    spoken: bool = False  # it has been, or will be, by whoever speaks
    word: tuple[int, str, float, int, int] | None = None  # what this one says of the whole message

    @property
    def over(self) -> bool:
        return self.state not in OPEN

    @property
    def looked_at(self) -> float:
        """When the sweep is to see whether it is over-age, grace not counted."""
        took = [one for one in self.tries if one.taken] if self.state is State.SUBMITTED else []
        return max([one.told_by if one.told_by else self.said.expires_at for one in took], default=self.said.expires_at)

    @property
    def owed(self) -> bool:
        if self.as_one:
            return self.word is not None and not self.told_at
        return self.over and not self.told_at and self.asks_for(self.state)

    def asks_for(self, end: State) -> bool:
        """Whether its sender wants to hear of that."""
        good, bad = end is State.DELIVERED, end not in (State.DELIVERED, State.ACCEPTED)
        return {0: False, 1: True, 2: bad, 3: good}[self.said.wants_receipt]

    @property
    def unsettled(self) -> bool:
        """Over, and its message is not told of yet."""
        return self.as_one and self.over and not self.spoken
