"""A bounded load on real nodes, with a record of every answer; and what of it may be lost when a disk is.

Three kinds of it, all the time, whatever happens to the nodes:

- each department posts small batches of shares at a steady rate, and drops what is not taken;
- each posts single shares that it wants to have confirmed, one after the other;
- stories: a record goes from department to department, each of which answers that it has received it. A story goes on
  until it is told: whatever is refused or not answered is posted again under the same id, and what was lost anew.
"""

import asyncio
import random
import uuid
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, NamedTuple, Self

import httpx
import naive

RATE_SECONDS = 0.2  # between two batches of one department
BATCH_MAX = 4
STORIES_AT_ONCE = 4
RETRY_SECONDS = 0.15
STORY_SECONDS_MAX = 120.0
WAITING = {"unknown_share", "unknown_parent"}  # this node has not copied the share yet

Entry = dict[str, Any]  # an entry reference, as the API answers it


class Answer(NamedTuple):
    """What a node has answered to a submission."""

    number: int  # of all answers
    event_id: str
    entry: Entry
    state: str


@dataclass(frozen=True, slots=True)
class Loss:
    """A disk that was lost, or fell back to an older copy, with all that lay there alone."""

    origin: str
    since: int  # number of the first answer that is not on the disk any more
    until: int  # and of the first that was given after
    copied: int  # so many entries of its log lay on disks that were not lost

    def may_take(self, answer: Answer) -> bool:
        """Whether an answer may be lost: recorded only, and copied by nobody."""
        return (
            answer.entry["log"] == self.origin
            and self.since <= answer.number < self.until
            and answer.entry["index"] >= self.copied
            and answer.state == "recorded"
        )


@dataclass
class Story:
    """A record on its way."""

    reference: str
    hops: list[naive.Hop]  # by departments' names


@dataclass
class Load:
    """Posts until it is told to stop."""

    clients: Mapping[str, httpx.AsyncClient]
    origin_of: Callable[[str], str]
    chance: random.Random
    answers: list[Answer] = field(default_factory=list)
    losses: list[Loss] = field(default_factory=list)
    stories: list[Story] = field(default_factory=list)  # those that are told
    singles: dict[str, Story] = field(default_factory=dict)  # by event id: records that were shared once
    refused: int = 0
    _stopping: bool = False
    _steady: list["asyncio.Task[None]"] = field(default_factory=list)
    _telling: list["asyncio.Task[None]"] = field(default_factory=list)

    async def __aenter__(self) -> Self:
        def begin(work: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
            return asyncio.get_running_loop().create_task(work)

        for name in self.clients:
            self._steady += [begin(self._post_batches(name)), begin(self._post_confirmed(name))]
        self._telling = [begin(self._tell_stories()) for _ in range(STORIES_AT_ONCE)]
        return self

    async def __aexit__(self, *_: object) -> None:
        tasks = [*self._steady, *self._telling]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def check(self) -> None:
        """Fail when a part of the load has."""
        for task in (*self._steady, *self._telling):
            if task.done() and not task.cancelled() and (error := task.exception()) is not None:
                raise error

    async def stop(self) -> None:
        """Post nothing new; return when all stories that were begun are told, and told again.

        Again, since a disk that was lost may have had the end of one. What was not lost gives the answer that it gave.
        """
        self._stopping = True
        for task in self._steady:
            task.cancel()
        await asyncio.gather(*self._steady, return_exceptions=True)
        async with asyncio.timeout(STORY_SECONDS_MAX):
            await asyncio.gather(*self._telling)
            for story in self.stories:
                await self._tell_to_the_end(story)

    def durable(self) -> list[Answer]:
        """The answers that nothing may have taken back."""
        return [answer for answer in self.answers if not any(loss.may_take(answer) for loss in self.losses)]

    # What is posted.

    async def _post_batches(self, name: str) -> None:
        while True:
            await self._post_singles(name, "recorded", self.chance.randint(1, BATCH_MAX))
            await asyncio.sleep(RATE_SECONDS)

    async def _post_confirmed(self, name: str) -> None:
        while True:
            await self._post_singles(name, "confirmed", 1)
            await asyncio.sleep(RATE_SECONDS)

    async def _post_singles(self, name: str, wait: str, count: int) -> None:
        events = [self.share(name, self._other(name)) for _ in range(count)]
        try:
            answer = await self.clients[name].post(f"/v1/events/batch?wait={wait}", json={"events": events})
        except httpx.TransportError:
            return
        if answer.status_code == httpx.codes.SERVICE_UNAVAILABLE:
            self.refused += 1
            return
        assert answer.status_code == httpx.codes.CREATED, answer.text
        for event, told in zip(events, answer.json()["events"], strict=True):
            self._note(told)
            consumer = next(other for other in self.clients if self.origin_of(other) == event["consumer"])
            self.singles[event["id"]] = Story(event["records"][0], [(name, consumer, event["occurred_at"])])

    async def _tell_stories(self) -> None:
        while not self._stopping:
            path = [self.chance.choice(sorted(self.clients))]
            for _ in range(self.chance.randint(1, 3)):
                path.append(self._other(path[-1]))
            day = self.chance.randint(1, 28)
            hops = [(a, b, f"2026-01-{day:02}T08:{number:02}:00.000Z") for number, (a, b) in enumerate(pairwise(path))]
            story = Story(f"{self.chance.getrandbits(128):032x}", hops)
            await self._tell_to_the_end(story)
            self.stories.append(story)

    async def _tell_to_the_end(self, story: Story) -> None:
        while True:
            if await self._tell(story):
                return
            await asyncio.sleep(RETRY_SECONDS)

    async def _tell(self, story: Story) -> bool:
        """Post all of a story, from its beginning; tell whether it was told to its end."""
        before: Entry | None = None
        for provider, consumer, at in story.hops:
            value = self.share(provider, consumer, records=[story.reference], occurred_at=at)
            if before is not None:
                value["parents"] = [before]
            share = await self._insist(provider, value, story.reference)
            if share is None:
                return False
            value = {"type": "receipt", "share": share, "outcome": "accepted", "occurred_at": at}
            if await self._insist(consumer, value, story.reference) is None:
                return False
            before = share
        return True

    async def _insist(self, name: str, value: dict[str, Any], reference: str) -> Entry | None:
        """Post an event, whose id is always the same, until it is answered; None: it needs what is not there yet."""
        seed = repr((reference, sorted((key, one) for key, one in value.items() if key != "id")))
        value["id"] = _event_id(random.Random(seed))
        while True:
            try:
                answer = await self.clients[name].post("/v1/events", json=value)
            except httpx.TransportError:
                await asyncio.sleep(RETRY_SECONDS)
                continue
            if answer.status_code == httpx.codes.CREATED:
                return self._note(answer.json())
            if answer.status_code != httpx.codes.SERVICE_UNAVAILABLE:
                assert answer.json()["code"] in WAITING, answer.text
                return None
            await asyncio.sleep(RETRY_SECONDS)

    def _note(self, answer: dict[str, Any]) -> Entry:
        entry: Entry = answer["entry"]
        self.answers.append(Answer(len(self.answers), answer["event_id"], entry, answer["state"]))
        return entry

    def share(self, provider: str, consumer: str, **members: Any) -> dict[str, Any]:
        return {
            "type": "share",
            "id": _event_id(self.chance),
            "consumer": self.origin_of(consumer),
            "records": [f"{self.chance.getrandbits(128):032x}"],
            "resource": "household-register",
            "purpose": "check of an application",
            "method": "api",
            "occurred_at": "2026-01-01T08:00:00.000Z",
            **members,
        }

    def _other(self, name: str) -> str:
        return self.chance.choice(sorted(self.clients.keys() - {name}))


def _event_id(chance: random.Random) -> str:
    return str(uuid.UUID(int=chance.getrandbits(128), version=4))
