"""What may be spent, in requests and in money, and who may still spend it."""

from __future__ import annotations

import threading
from collections.abc import Callable

from rankstill.teachers.llm.reference import LlmReference

Tokens = tuple[int, int]
"""Of a prompt, and of its answer."""
_LOOK_UP = 0.05
"""Seconds between looks at whether everyone stops."""


class BudgetSpent(Exception):  # noqa: N818  -- the planned end of a run
    """The next request would go beyond the budget; says which, in words."""


class Budget:
    """Hands out the right to send requests; shared by all threads.

    A request that is in flight counts with the most it may cost, so that the budget holds whatever is answered. Where
    only requests in flight stand in the way, the next one waits for them instead of giving up.

    Args:
        reference: Its `requests`, `money` and prices.
    """

    def __init__(self, reference: LlmReference) -> None:
        self._requests, self._money = reference.requests, reference.money
        self._prices = reference.price_in / 1e6, reference.price_out / 1e6
        self._changed = threading.Condition()
        self._flying, self._flying_money = 0, 0.0
        self.requests, self.tokens = 0, (0, 0)

    @property
    def money(self) -> float:
        """What is spent."""
        return self._cost(self.tokens)

    def _cost(self, tokens: Tokens) -> float:
        return tokens[0] * self._prices[0] + tokens[1] * self._prices[1]

    def add(self, tokens: Tokens) -> None:
        """Count a request that is paid."""
        with self._changed:
            self.requests += 1
            self.tokens = self.tokens[0] + tokens[0], self.tokens[1] + tokens[1]

    def reset(self) -> None:
        """Forget what is spent."""
        with self._changed:
            self.requests, self.tokens = 0, (0, 0)

    def reserve(self, most: Tokens, stopped: Callable[[], bool]) -> bool:
        """Take the right to send a request that costs `most` at most; False where everyone stops meanwhile.

        Raises:
            BudgetSpent: It would go beyond the budget.
        """
        with self._changed:
            while not stopped():
                spent = self._in_the_way(most)
                if not spent:
                    self._flying += 1
                    self._flying_money += self._cost(most)
                    return True
                if not self._flying:
                    raise BudgetSpent(spent)
                self._changed.wait(_LOOK_UP)
        return False

    def _in_the_way(self, most: Tokens) -> str:
        if self._requests and self.requests + self._flying >= self._requests:
            return f"the budget of {self._requests:,} requests is spent"
        after = self.money + self._flying_money + self._cost(most)
        if self._money and after > self._money:
            more = f"the next request may cost {self._cost(most):.4f}"
            return f"the budget of {self._money:g} in money is spent ({self.money:.4f} so far, and {more})"
        return ""

    def settle(self, most: Tokens) -> None:
        """Give back the right that `reserve` gave; what was paid is counted by `add` before."""
        with self._changed:
            self._flying -= 1
            self._flying_money = self._flying_money - self._cost(most) if self._flying else 0.0
            self._changed.notify_all()
