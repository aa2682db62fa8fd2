"""Reads histories with Temporal's SDK, and replays them against the same workflows and against changed ones. Must not live here:
what the workflows decide (`workflows`).

Usage: replay.py DIRECTORY.."""

import asyncio
import logging
import pathlib
import sys

from temporalio import workflow
from temporalio.api.enums.v1 import EventType
from temporalio.client import WorkflowHistory
from temporalio.runtime import LoggingConfig, Runtime, TelemetryConfig
from temporalio.worker import (
    Interceptor,
    Replayer,
    UnsandboxedWorkflowRunner,
    WorkflowInboundInterceptor,
    WorkflowOutboundInterceptor,
)

from workflows import WORKFLOWS, step


class AsksFirst(WorkflowInboundInterceptor):
    """The same workflow, but with another activity before everything else."""

    async def execute_workflow(self, input):
        await step("unheard_of")
        return await super().execute_workflow(input)


class Renames(WorkflowInboundInterceptor):
    """The same workflow, but with other types of activities and children."""

    def init(self, outbound: WorkflowOutboundInterceptor) -> None:
        super().init(Renaming(outbound))


class Renaming(WorkflowOutboundInterceptor):
    def start_activity(self, input):
        input.activity = "renamed"
        return super().start_activity(input)

    async def start_child_workflow(self, input):
        input.workflow = "renamed"
        return await super().start_child_workflow(input)


class Changed(Interceptor):
    def __init__(self, how: type) -> None:
        self.how = how

    def workflow_interceptor_class(self, input):
        return self.how


# Refusals, most of which are wanted here, are nothing to be told of.
QUIET = Runtime(telemetry=TelemetryConfig(logging=LoggingConfig(filter="OFF")))
# Every kind of event behind each other, also those of sagas, which no workflow of Temporal's asks for: it is read, no more.
ONLY_READ = ["every-kind"]
RENAMED = (
    EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED,
    EventType.EVENT_TYPE_START_CHILD_WORKFLOW_EXECUTION_INITIATED,
)


async def replay(history: WorkflowHistory, *interceptors: Interceptor) -> Exception | None:
    """Why it does not replay."""
    replayer = Replayer(
        workflows=WORKFLOWS,
        interceptors=interceptors,
        # A copy of every module for each workflow is of no use here.
        workflow_runner=UnsandboxedWorkflowRunner(),
        runtime=QUIET,
    )
    result = await replayer.replay_workflow(history, raise_on_replay_failure=False)
    return result.replay_failure


async def problems(path: pathlib.Path) -> list[str]:
    try:
        history = WorkflowHistory.from_json(path.stem, path.read_text())
    except Exception as error:
        return [f"it cannot be read: {error}"]
    if path.stem in ONLY_READ:
        return []
    found = []
    failure = await replay(history)
    if failure is not None:
        found.append(f"it does not replay: {failure}")
    changes = [AsksFirst]
    if any(event.event_type in RENAMED for event in history.events):
        changes.append(Renames)
    for how in changes:
        failure = await replay(history, Changed(how))
        if not isinstance(failure, workflow.NondeterminismError):
            found.append(f"a workflow that differs ({how.__name__}) is not refused: {failure}")
    return found


async def main() -> int:
    logging.disable(logging.CRITICAL)
    paths = [path for directory in sys.argv[1:] for path in sorted(pathlib.Path(directory).glob("*.json"))]
    failed = 0
    for path in paths:
        for problem in await problems(path):
            failed += 1
            print(f"{path}: {problem}")
    print(f"{len(paths)} histories, {failed} problems")
    return 0 if paths and not failed else 1


sys.exit(asyncio.run(main()))
