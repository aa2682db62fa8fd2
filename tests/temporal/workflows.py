"""The workflows of `tests/integration/temporal/workflows.rs` in Temporal's Python SDK, deciding the same. Must not live here:
running or replaying them."""

import asyncio
from datetime import timedelta

from temporalio import activity, workflow
from temporalio.common import RetryPolicy, SearchAttributeKey
from temporalio.exceptions import ActivityError, ApplicationError, ChildWorkflowError

SECOND = timedelta(seconds=1)
LIMIT = timedelta(seconds=10)
ONCE = RetryPolicy(maximum_attempts=1)
TWICE = RetryPolicy(maximum_attempts=2, initial_interval=timedelta(milliseconds=10))
STAGE = SearchAttributeKey.for_keyword("Stage")
PARCELS = SearchAttributeKey.for_int("Parcels")


@activity.defn
async def reserve(item: str) -> str:
    return f"{item} is reserved"


@activity.defn
async def release(item: str) -> None:
    pass


@activity.defn
async def charge(order: dict) -> str:
    """The bank is busy at first; a card that is too small is declined for good."""
    if activity.info().attempt == 1:
        raise ApplicationError("try again", type="BankBusy")
    if order["cents"] > 100_000:
        raise ApplicationError("no money", type="CardDeclined", non_retryable=True)
    return f"{order['cents']} cents"


@activity.defn
async def square(n: int) -> int:
    return n * n


@activity.defn
async def hang() -> None:
    await asyncio.sleep(3_600)


@activity.defn
async def look_up(key: str) -> str:
    return f"{key}!"


@activity.defn
async def miss(key: str) -> str:
    raise ApplicationError(f"there is no {key}", type="NotThere")


ACTIVITIES = [reserve, release, charge, square, hang, look_up, miss]


def step(function, argument=None, **options):
    arguments = [] if argument is None else [argument]
    return workflow.execute_activity(function, args=arguments, start_to_close_timeout=LIMIT, **options)


@workflow.defn(name="place_order")
class PlaceOrder:
    """Activities one after the other, a timer, a retry; what was done is undone by its own code."""

    @workflow.run
    async def run(self, order: dict) -> str:
        await step(reserve, order["item"])
        await asyncio.sleep(1)
        try:
            paid = await step(charge, order)
        except ActivityError as error:
            await step(release, order["item"])
            raise ApplicationError("it is not paid", type="NotPaid", non_retryable=True) from error
        return f"{order['item']} for {paid}"


@workflow.defn(name="await_approval")
class AwaitApproval:
    """A signal, or a timer."""

    def __init__(self) -> None:
        self.by: str | None = None

    @workflow.signal
    def approve(self, by: str) -> None:
        self.by = by

    @workflow.run
    async def run(self, seconds: int) -> str | None:
        try:
            await workflow.wait_condition(lambda: self.by is not None, timeout=timedelta(seconds=seconds))
        except asyncio.TimeoutError:
            pass
        return self.by


@workflow.defn(name="counter")
class Counter:
    """An entity with signals and updates, among them one that waits and one that is refused."""

    def __init__(self) -> None:
        self.count = 0

    @workflow.signal
    def add(self, n: int) -> None:
        self.count += n

    @workflow.query(name="count")
    def shown(self) -> int:
        return self.count

    @workflow.update
    def take(self, n: int) -> int:
        self.count -= n
        return self.count

    @take.validator
    def has_enough(self, n: int) -> None:
        if n > self.count:
            raise ApplicationError(f"there are only {self.count}", type="TooFew")

    @workflow.update
    async def reach(self, wanted: int) -> int:
        await step(square, wanted)
        await workflow.wait_condition(lambda: self.count >= wanted)
        return self.count

    @workflow.update(name="break")
    def fail(self) -> None:
        raise ApplicationError("as asked", type="Broken")

    @workflow.run
    async def run(self, goal: int) -> int:
        await workflow.wait_condition(lambda: self.count >= goal)
        await workflow.wait_condition(workflow.all_handlers_finished)
        return self.count


@workflow.defn(name="add_squares")
class AddSquares:
    """Activities at the same time."""

    @workflow.run
    async def run(self, numbers: list[int]) -> int:
        return sum(await asyncio.gather(*(step(square, n) for n in numbers)))


@workflow.defn(name="double")
class Double:
    @workflow.run
    async def run(self, n: int) -> int:
        if n == 13:
            raise ApplicationError("13", type="Unlucky", non_retryable=True)
        return n * 2


@workflow.defn(name="double_each")
class DoubleEach:
    """Child workflows; one may fail."""

    @workflow.run
    async def run(self, numbers: list[int]) -> list[int]:
        doubled = []
        for n in numbers:
            id = f"{workflow.info().workflow_id}-{n}"
            try:
                doubled.append(await workflow.execute_child_workflow("double", n, id=id))
            except ChildWorkflowError:
                doubled.append(0)
        return doubled


@workflow.defn(name="count_down")
class CountDown:
    """A run for each number."""

    @workflow.run
    async def run(self, left: int) -> str:
        await asyncio.sleep(1)
        if left > 0:
            workflow.continue_as_new(left - 1)
        return "lift-off"


@workflow.defn(name="take_holiday")
class TakeHoliday:
    """Until it is called back, and sets right what it has done."""

    @workflow.run
    async def run(self, place: str) -> None:
        await step(reserve, place)
        try:
            await asyncio.sleep(86_400)
        except asyncio.CancelledError:
            await step(release, place)
            raise


@workflow.defn(name="give_up")
class GiveUp:
    """A cancelled activity."""

    @workflow.run
    async def run(self) -> None:
        await step(hang)


@workflow.defn(name="check_order")
class CheckOrder:
    """Patches, new and old."""

    @workflow.run
    async def run(self, item: str) -> str:
        workflow.deprecate_patch("greeting")
        if workflow.patched("checks"):
            await step(square, 7)
        return await step(reserve, item)


@workflow.defn(name="label")
class Label:
    """Search attributes and a memo."""

    @workflow.run
    async def run(self, parcels: int) -> None:
        workflow.upsert_search_attributes([STAGE.value_set("packed"), PARCELS.value_set(parcels)])
        workflow.upsert_memo({"note": "handle with care"})
        await asyncio.sleep(1)
        workflow.upsert_search_attributes([STAGE.value_set("sent")])
        workflow.upsert_search_attributes([PARCELS.value_unset()])
        workflow.upsert_memo({"note": None})


@workflow.defn(name="tell")
class Tell:
    """A signal to another run; a signal and a request to end to one that is not there."""

    @workflow.run
    async def run(self, other: str) -> str:
        await workflow.get_external_workflow_handle(other).signal("approve", "Ada")
        nobody = workflow.get_external_workflow_handle("nobody")
        try:
            await nobody.signal("approve", "Ada")
        except ApplicationError:
            pass
        try:
            await nobody.cancel()
        except ApplicationError:
            pass
        return "told"


@workflow.defn(name="try_in_vain")
class TryInVain:
    """An activity that takes too long."""

    @workflow.run
    async def run(self) -> str:
        try:
            await workflow.execute_activity(hang, start_to_close_timeout=SECOND, retry_policy=ONCE)
        except ActivityError:
            return "too late"
        return "in time"


@workflow.defn(name="look_around")
class LookAround:
    """Local activities, then an activity. Its id is said, because this SDK numbers both kinds together."""

    @workflow.run
    async def run(self, key: str) -> str:
        first = await workflow.execute_local_activity(look_up, key, start_to_close_timeout=LIMIT)
        second = await workflow.execute_local_activity(look_up, first, start_to_close_timeout=LIMIT)
        return await step(reserve, second, activity_id="1")


@workflow.defn(name="look_elsewhere")
class LookElsewhere:
    """A local activity that is tried again, in vain. This SDK hands on what it failed with, not wrapped in an `ActivityError`."""

    @workflow.run
    async def run(self, key: str) -> str:
        try:
            return await workflow.execute_local_activity(miss, key, start_to_close_timeout=LIMIT, retry_policy=TWICE)
        except ApplicationError as error:
            if error.type != "NotThere":
                raise
        return await step(reserve, f"another {key}", activity_id="1")


@workflow.defn(name="check_stock")
class CheckStock:
    """The second version of a workflow, which its history says by a patch that is no longer asked for."""

    @workflow.run
    async def run(self, item: str) -> str:
        workflow.deprecate_patch("check_stock@2")
        return await step(reserve, item)


WORKFLOWS = [
    PlaceOrder,
    AwaitApproval,
    Counter,
    AddSquares,
    Double,
    DoubleEach,
    CountDown,
    TakeHoliday,
    GiveUp,
    CheckOrder,
    Label,
    Tell,
    TryInVain,
    LookAround,
    LookElsewhere,
    CheckStock,
]
