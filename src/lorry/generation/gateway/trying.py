"""One request, tried at the places that may answer it until one does: at most one of them is paid."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeVar

from lorry.errors import (
    BudgetSpent,
    LorryError,
    NoRoute,
    NotReady,
    OptionInvalid,
    PlacesUnwell,
    Stopped,
)
from lorry.generation.asking import Ask
from lorry.generation.gateway.attempts import (
    Asleep,
    Attempt,
    Observer,
    as_unknown,
    may_have_acted,
    refuses,
    row_of,
)
from lorry.generation.gateway.composing import pixels_of
from lorry.generation.gateway.directory import LiveDirectory
from lorry.generation.gateway.healths import Healths, keys_of
from lorry.generation.gateway.replies import Budget
from lorry.generation.gateway.sink import CallerLeft, Request
from lorry.generation.gateway.spending import Spending
from lorry.generation.gateway.writing import LedgerWriter
from lorry.generation.ports import Line, Upstream
from lorry.generation.routing.choosing import Need, Ranking, rank
from lorry.generation.routing.prices import BY_REQUEST, picture_cents
from lorry.model.kept import Came, LedgerRow
from lorry.model.serving import Place, Policy

_T = TypeVar("_T")

#: Bytes of large answers that are on their way at once.
PASSING_BYTES = 24 * 1024 * 1024


@dataclass(slots=True)
class Tries:
    """Tries places in order.

    Attributes:
        directory: Models, places, policies.
        healths: Which of them answer.
        spending: What was spent.
        ledger: Where attempts are written.
        line_of: Gives the way to a place.
        upstream: The HTTP client.
        observer: Hears of every attempt.
        clock: Seconds that only grow.
        now: Gives the time, UTC.
        room: Bytes of large answers that are passed on at once.
    """

    directory: LiveDirectory
    healths: Healths
    spending: Spending
    ledger: LedgerWriter
    line_of: Callable[[Place], Line]
    upstream: Upstream
    observer: Observer
    clock: Callable[[], float]
    now: Callable[[], datetime]
    room: Budget = field(default_factory=lambda: Budget(PASSING_BYTES))

    def cents(self, ask: Ask, place: Place) -> float:
        """Say what a request costs at a place, US cents; its own size and steps decide."""
        if place.route not in BY_REQUEST or ask.words_only:
            return 0.0
        width, height = pixels_of(ask, place)
        return picture_cents(place.route, place.model.base, width, height, ask.steps, ask.count)

    def rank(self, request: Request, ask: Ask) -> tuple[Policy, Ranking]:
        """Put the places that may answer into order.

        Raises:
            ModelNotFound: There is no such model for this caller.
            NotReady: It is known, and nowhere.
        """
        snapshot = self.directory.now
        model = snapshot.require(ask.model, request.caller)
        policy = snapshot.policy(ask.model)
        words = ask.words_only or model.kind != "image-lora"
        usual = snapshot.usual.get((ask.model, words)) if not self.healths.known else None
        if usual is not None:
            return policy, usual
        named = snapshot.place(ask.model)
        if named is None:
            raise NotReady(
                f"{ask.model!r} is known, but it is nowhere yet: its delivery never began.",
                fix=f"Run `lorry resume {ask.model}` to bring it to its platform.",
            )
        need = Need(
            "words" if words else "picture",
            lambda place: self.cents(ask, place),
            self._left(request, named, policy),
        )
        ranking = rank(
            named,
            snapshot.others(policy) if policy.also else (),
            policy,
            need,
            self.healths.known,
            self.clock(),
            keys=lambda place: keys_of(place, self.line_of(place).account),
            spent_today=self.spending.today(ask.model),
        )
        billed = any(place.route in BY_REQUEST for place in (named, *snapshot.others(policy)))
        if not self.healths.known and not billed:
            snapshot.usual[ask.model, words] = (
                ranking  # while all are well and nothing bills, nothing changes it
            )
        return policy, ranking

    async def run(
        self,
        request: Request,
        ask: Ask,
        trial: Callable[[Attempt], Awaitable[_T]],
        asleep: Callable[[Place], None],
    ) -> tuple[_T, Attempt]:
        """Try the places in order until one answers.

        Args:
            request: What came.
            ask: What was asked for.
            trial: Asks one place; it may be called again for the next one after it raised.
            asleep: Told of each place that was asked and is asleep.

        Raises:
            LorryError: None answered; that of the last place, or why no place may be asked.
            Asleep: The best place is asleep, and none of the others answered.
        """
        policy, ranking = self.rank(request, ask)
        if not ranking.places:
            raise self._nowhere(request, ask, policy, ranking)
        last: LorryError | None = None
        sleeping: Place | None = None
        unknown, softened = False, self.spending.budgets.softened(ask.model, policy.owner)
        for number, place in enumerate(ranking.places, 1):
            cents = self.cents(ask, place)
            if unknown and cents > policy.resend_cents:
                break  # nobody knows whether it was done: once more would be paid once more
            attempt = Attempt(place, self.line_of(place), cents, number, self.clock())
            try:
                return await self._one(request, ask, attempt, trial), attempt
            except Stopped as error:
                cheaper = softened and number < len(ranking.places)
                spent = None if cheaper else _woken(place, asleep)
                last = spent or error
                if cheaper or spent is not None:
                    continue
                sleeping = sleeping or place
                if policy.asleep != "fallback":
                    break
            except LorryError as error:
                last = error
                if refuses(error):
                    raise
                unknown = unknown or (cents > 0 and may_have_acted(error))
        if sleeping is not None:
            raise Asleep(sleeping) from last
        assert last is not None  # noqa: S101 - there was a place, and it did not answer
        raise as_unknown(last) if unknown else last

    async def _one(
        self,
        request: Request,
        ask: Ask,
        attempt: Attempt,
        trial: Callable[[Attempt], Awaitable[_T]],
    ) -> _T:
        """Ask one place, and write down what came of it."""
        account, cents = attempt.line.account, attempt.cents
        self.healths.begun(attempt.place, account)
        if attempt.cents:
            self._spend(request, ask, attempt, attempt.cents)
            await self.ledger.write([self._row(request, ask, attempt, Came.SENT, None)])
        try:
            result = await trial(attempt)
        except LorryError as error:
            self.healths.bad(attempt.place, account, error)
            await self._failed(request, ask, attempt, error)
            raise
        except CallerLeft:
            self._note(self._row(request, ask, attempt, Came.LEFT, None), attempt)
            raise
        self.healths.good(attempt.place, account)
        if attempt.cents < cents:  # some of several pictures did not come
            self._spend(request, ask, attempt, attempt.cents - cents)
        row = self._row(request, ask, attempt, Came.OK, None)
        if attempt.cents:
            self.observer.tried(row, self._first_byte(attempt))  # written with the result, before the answer
        else:
            self._note(row, attempt)
        return result

    async def _failed(self, request: Request, ask: Ask, attempt: Attempt, error: LorryError) -> None:
        came = Came.REFUSED if refuses(error) else Came.FAILED
        if attempt.cents and may_have_acted(error):
            came = Came.UNKNOWN
        elif attempt.cents:
            self._spend(request, ask, attempt, -attempt.cents)
            attempt.cents = 0.0
        row = self._row(request, ask, attempt, came, error)
        self.observer.tried(row, self._first_byte(attempt))
        if came is Came.UNKNOWN:
            await self.ledger.write([row])
        else:
            self.ledger.note(row)

    def _note(self, row: LedgerRow, attempt: Attempt) -> None:
        self.observer.tried(row, self._first_byte(attempt))
        self.ledger.note(row)

    def _first_byte(self, attempt: Attempt) -> float | None:
        return None if attempt.first_byte is None else attempt.first_byte - attempt.began

    def _left(self, request: Request, named: Place, policy: Policy) -> float | None:
        """Give the cents that a request may cost: what is left to its token, and of the model's budgets."""
        own = self.spending.left(request.caller)
        if named.embedded:  # nobody owes what the engine plays
            return own
        budget = self.spending.budgets.left(named.key, policy.owner)
        limits = [each for each in (own, budget) if each is not None]
        return min(limits, default=None)

    def _spend(self, request: Request, ask: Ask, attempt: Attempt, cents: float) -> None:
        self.spending.add(request.caller.token, ask.model, cents)
        if not attempt.place.embedded:
            owner = self.directory.now.policy(ask.model).owner
            self.spending.budgets.add(ask.model, owner, cents)

    def _row(
        self, request: Request, ask: Ask, attempt: Attempt, came: Came, error: LorryError | None
    ) -> LedgerRow:
        return row_of(request, ask, attempt, came, error, self.now(), self.clock())

    def final_row(self, request: Request, ask: Ask, attempt: Attempt) -> LedgerRow:
        """Give the row of an attempt that answered and bills; it is written with its result."""
        return self._row(request, ask, attempt, Came.OK, None)

    def _nowhere(self, request: Request, ask: Ask, policy: Policy, ranking: Ranking) -> LorryError:
        """Say why no place may be asked; where there is one reason, by its own error."""
        reasons = [passed.as_dict() for passed in ranking.passed_over]
        codes = {passed.code for passed in ranking.passed_over}
        said = "; ".join(
            f"{passed.place} ({passed.route}): {passed.reason}" for passed in ranking.passed_over
        )
        if codes == {"spend_limit_reached"}:
            cents = min(self.cents(ask, place) for place in self._all(ask, policy))
            refused = self.spending.budgets.refusal(ask.model, policy.owner, cents)
            if refused is not None:
                return refused
            return self.spending.refuse(ask.model, cents, request.caller, policy)
        if codes == {"option_invalid"}:
            wants = "a conversation" if ask.words_only else "pictures"
            return OptionInvalid(
                f"{ask.model} can't be asked for {wants}: {said}.",
                fix="Ask it in the other form.",
                evidence={"places": reasons},
            )
        waits = [passed.wait for passed in ranking.passed_over if passed.wait is not None]
        evidence = {"places": reasons, **({"retry_after": min(waits)} if waits else {})}
        kind = PlacesUnwell if waits else NoRoute
        return kind(f"No place of {ask.model} can take the request now: {said}.", evidence=evidence)

    def _all(self, ask: Ask, policy: Policy) -> list[Place]:
        snapshot = self.directory.now
        named = snapshot.place(ask.model)
        return [*([named] if named else []), *snapshot.others(policy)]


def _woken(place: Place, asleep: Callable[[Place], None]) -> BudgetSpent | None:
    """Tell of a place that is asleep; give why it may not be started where its budget is gone."""
    try:
        asleep(place)
    except BudgetSpent as error:
        return error
    return None
