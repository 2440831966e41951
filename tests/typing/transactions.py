"""Blocks and decorated functions."""

from collections.abc import Awaitable
from typing import assert_type

from turbo_orm import async_atomic, async_pipeline


@async_atomic
async def bare(number: int) -> str:
    return str(number)


@async_atomic(using="other", savepoint=False, durable=True)
async def called(number: int) -> str:
    return str(number)


async def blocks() -> None:
    assert_type(await bare(1), str)
    assert_type(await called(1), str)
    waiting: Awaitable[str] = bare(number=1)
    assert_type(await waiting, str)
    async with async_atomic():
        pass
    async with async_atomic("other"), async_atomic(durable=True) as nothing:
        assert_type(nothing, None)
    async with async_atomic(), async_pipeline() as nothing_either, async_pipeline("other"):
        assert_type(nothing_either, None)
    bare("one")  # type: ignore[arg-type]
