"""Why something was not sent."""

from __future__ import annotations


class SendError(Exception):
    """It was not sent, or nobody said that it was; the text says why, in words for people.

    `wait_s`: the other side asks not to be tried again before; 0: it did not say.
    """

    def __init__(self, why: str, *, wait_s: float = 0.0) -> None:
        super().__init__(why)
        self.wait_s = wait_s
