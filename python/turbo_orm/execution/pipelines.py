"""Statements in pipelines: on shared connections, and in blocks of ``async_pipeline()``."""

from __future__ import annotations

from typing import Any

from turbo_orm.backend import n_plus_one
from turbo_orm.backend.pipeline_block import PipelineBlock
from turbo_orm.driver import multiplexing
from turbo_orm.driver.multiplexing import Moved, Multiplexer
from turbo_orm.execution.executable import Executable
from turbo_orm.execution.results import WANTED, first


async def on_shared_connection(
    multiplexer: Multiplexer, statement: Executable
) -> tuple[Any, Any] | None:
    """Execute a statement on a shared connection of a pool, if it may be."""
    shared = multiplexer.choose(statement)
    if shared is None:
        return None
    parameters = statement.parameters(shared.driver)
    if parameters is None or parameters.size > multiplexing.BYTES:
        return None
    try:
        results = await shared.execute(statement, parameters)
    except Moved:
        return None
    if not n_plus_one.is_off:
        n_plus_one.count_fetch()
    if len(results) == 1 and results[0].status in WANTED:
        return results[0], shared.driver
    return first(results, shared.driver), shared.driver


async def in_block(
    block: PipelineBlock, statement: Executable, prepares: bool
) -> tuple[Any, Any] | None:
    """Execute a statement on the connection of a block, if no cursor has to."""
    # Several commands are for the simple protocol.
    pipeline = None if ";" in statement.sql else await block.enter()
    if pipeline is None:
        return None
    driver = pipeline.driver
    prepared, parameters, name = driver.prepared, None, None
    try:
        if not n_plus_one.is_off:
            n_plus_one.count_fetch()
        if prepares and not prepared.is_off:
            parameters = statement.parameters(driver)
            name = parameters and prepared.name(statement, parameters)
        reply = pipeline.send(statement, name, parameters)
    finally:
        block.leave()
    results = await reply
    if results and results[-1].status in WANTED:
        if parameters is not None and name is None:
            # It is prepared at the end of the block.
            prepared.count(statement, parameters, results[-1])
    elif (
        name is not None
        and prepared.is_refused(statement.statement, results)
        # One is aborted by now.
        and not pipeline.is_in_transaction
    ):
        return await in_block(block, statement, prepares=False)
    return first(results, driver), driver
