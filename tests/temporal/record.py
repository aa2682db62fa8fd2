"""Runs the workflows on Temporal's own server, and saves their histories with `temporal workflow show`. Must not live here: what
the workflows decide (`workflows`).

Usage: record.py DIRECTORY, with `temporal` beside the Python that runs it."""

import asyncio
import json
import logging
import pathlib
import subprocess
import sys

from temporalio.client import Client, WorkflowFailureError, WorkflowUpdateFailedError
from temporalio.runtime import LoggingConfig, Runtime, TelemetryConfig
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from workflows import ACTIVITIES, PARCELS, STAGE, WORKFLOWS

QUEUE = "shop"
TEMPORAL = pathlib.Path(sys.executable).with_name("temporal")


def without_traces(value):
    """Stack traces name files of the machine, and change with every line of code."""
    if isinstance(value, dict):
        return {key: without_traces(of) for key, of in value.items() if key != "stackTrace"}
    if isinstance(value, list):
        return [without_traces(of) for of in value]
    return value


class Recorder:
    def __init__(self, client: Client, address: str, directory: pathlib.Path) -> None:
        self.client = client
        self.address = address
        self.directory = directory

    async def start(self, kind: str, id: str, *arguments, **options):
        return await self.client.start_workflow(kind, args=arguments, id=id, task_queue=QUEUE, **options)

    async def show(self, id: str, run_id: str | None = None, name: str | None = None) -> None:
        """What Temporal's command line writes."""
        command = [TEMPORAL, "workflow", "show", "--address", self.address, "--workflow-id", id, "--output", "json"]
        command += ["--run-id", run_id] if run_id else []
        shown = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        history = json.dumps(without_traces(json.loads(shown)), indent=1)
        (self.directory / f"{name or id}.json").write_text(history + "\n")

    async def end(self, kind: str, id: str, *arguments, **options) -> None:
        handle = await self.start(kind, id, *arguments, **options)
        try:
            await handle.result()
        except WorkflowFailureError:
            pass
        await self.show(id)

    async def until(self, handle, event: int) -> None:
        """Until its history has an event of this type."""
        while event not in [found.event_type async for found in handle.fetch_history_events()]:
            await asyncio.sleep(0.05)


TIMER_STARTED = 17
ACTIVITY_TASK_SCHEDULED = 10


async def record(recorder: Recorder) -> None:
    await recorder.end("place_order", "order", {"item": "lamp", "cents": 900})
    await recorder.end("place_order", "order-undone", {"item": "piano", "cents": 900_000})
    await recorder.end("add_squares", "squares", [3, 4, 5])
    await recorder.end("double_each", "doubles", [2, 13, 4])
    await recorder.end("check_order", "checked", "lamp")
    await recorder.end("label", "labelled", 2, memo={"title": "Order 1"})
    await recorder.end("try_in_vain", "too-late")
    await recorder.end("look_around", "local", "key")
    await recorder.end("look_elsewhere", "local-in-vain", "key")
    await recorder.end("check_stock", "versioned", "lamp")
    await recorder.end("await_approval", "not-approved", 1)

    approved = await recorder.start("await_approval", "approved", 3_600)
    await recorder.until(approved, TIMER_STARTED)
    await recorder.end("tell", "teller", "approved")
    await approved.result()
    await recorder.show("approved")

    counter = await recorder.start("counter", "counted", 10)
    await counter.signal("add", 5)
    await counter.execute_update("take", 2)
    for refused in [("take", 20), ("break",)]:
        try:
            await counter.execute_update(refused[0], args=refused[1:])
        except WorkflowUpdateFailedError:
            pass
    reached = asyncio.create_task(counter.execute_update("reach", 4))
    await recorder.until(counter, ACTIVITY_TASK_SCHEDULED)
    await counter.signal("add", 7)
    await asyncio.gather(reached, counter.result())
    await recorder.show("counted")

    first = await recorder.start("count_down", "countdown", 1)
    await first.result()
    await recorder.show("countdown", first.first_execution_run_id, "countdown-1")
    await recorder.show("countdown", None, "countdown-0")

    for kind, id, arguments, until in [
        ("take_holiday", "holiday", ["Porto"], TIMER_STARTED),
        ("give_up", "given-up", [], ACTIVITY_TASK_SCHEDULED),
    ]:
        handle = await recorder.start(kind, id, *arguments)
        await recorder.until(handle, until)
        await handle.cancel()
        try:
            await handle.result()
        except WorkflowFailureError:
            pass
        await recorder.show(id)


async def main() -> None:
    # What fails here fails as planned.
    logging.disable(logging.CRITICAL)
    quiet = Runtime(telemetry=TelemetryConfig(logging=LoggingConfig(filter="OFF")))
    directory = pathlib.Path(sys.argv[1])
    directory.mkdir(parents=True, exist_ok=True)
    attributes = [STAGE, PARCELS]
    async with await WorkflowEnvironment.start_local(
        dev_server_existing_path=str(TEMPORAL),
        search_attributes=attributes,
        dev_server_log_level="error",
        runtime=quiet,
        identity="a client",
    ) as environment:
        worker = Worker(
            environment.client,
            task_queue=QUEUE,
            workflows=WORKFLOWS,
            activities=ACTIVITIES,
            identity="a worker",
            # A second copy of every module for each workflow is of no use here.
            workflow_runner=UnsandboxedWorkflowRunner(),
        )
        address = environment.client.service_client.config.target_host
        async with worker:
            await record(Recorder(environment.client, address, directory))
    saved = list(directory.glob("*.json"))
    print(f"{len(saved)} histories of Temporal's server are in {directory}")


asyncio.run(main())
