"""The clock: waits pass at its pace, and are skipped or sped up while they last."""

import asyncio
import json
import math
import time

from ml_platform.local_sagemaker.clock import Clock


def waited(clock: Clock, seconds: float, *steps: float) -> float:
    """Return the real seconds that a wait takes during which the clock is advanced."""

    async def wait() -> float:
        began = time.monotonic()
        sleeper = asyncio.create_task(clock.sleep(seconds))
        for step in steps:
            await asyncio.sleep(0.01)
            clock.advance(step)
        await asyncio.wait_for(sleeper, 5)
        return time.monotonic() - began

    return asyncio.run(wait())


def test_a_wait_is_scaled() -> None:
    assert 0.1 <= waited(Clock(0.001), 100) < 1


def test_no_wait_at_scale_zero() -> None:
    assert waited(Clock(0), 3600) < 0.5


def test_steps_end_a_wait_when_they_add_up_to_it() -> None:
    assert waited(Clock(), 3600, 1000, 2600) < 2


def test_the_rest_of_a_wait_passes_at_a_new_pace() -> None:
    async def wait() -> None:
        clock = Clock()
        sleeper = asyncio.create_task(clock.sleep(1000))
        await asyncio.sleep(0.01)
        clock.rescale(0.0001)
        await asyncio.wait_for(sleeper, 5)
        assert clock.elapsed_seconds >= 1000

    asyncio.run(wait())


def test_what_is_no_longer_than_a_step_needs_no_wait_before_it() -> None:
    clock = Clock()
    clock.advance(50)
    before = clock.elapsed_seconds
    assert waited(clock, 0) < 0.5
    assert before >= 50


def test_a_frozen_clock_waits_for_its_steps_however_fast_it_was() -> None:
    async def wait() -> None:
        clock = Clock(0.0001)
        sleeper = asyncio.create_task(clock.sleep(100))
        await asyncio.sleep(0)
        clock.freeze()
        clock.advance(99)
        done, _ = await asyncio.wait({sleeper}, timeout=0.05)
        assert not done
        clock.advance(1)
        await asyncio.wait_for(sleeper, 5)

    asyncio.run(wait())


def test_a_clock_that_was_never_frozen_loses_nothing_by_a_thaw() -> None:
    clock = Clock(1e-6)
    while (before := clock.elapsed_seconds) < 10_000:
        pass
    clock.thaw()
    assert clock.elapsed_seconds >= before


def test_a_thawed_clock_goes_on_where_it_stood() -> None:
    async def wait() -> None:
        clock = Clock(0.0001)
        clock.freeze()
        before = clock.elapsed_seconds
        sleeper = asyncio.create_task(clock.sleep(100))
        await asyncio.sleep(0.02)
        assert clock.elapsed_seconds == before
        clock.thaw()
        await asyncio.wait_for(sleeper, 5)

    asyncio.run(wait())


def test_steps_count_for_what_has_gone_by_since_a_moment_and_nothing_else_does_while_it_is_frozen() -> None:
    clock = Clock()
    clock.freeze()
    # Stored and read again, as everything is that outlives a restart.
    then, mark = clock.timestamp() - 1000, json.loads(json.dumps(clock.mark()))
    assert clock.seconds_since(then, mark) == 0
    clock.advance(299)
    assert clock.seconds_since(then, mark) == 299


def test_after_a_restart_real_time_counts_for_what_has_gone_by() -> None:
    stopped = Clock(0.5)
    stopped.advance(10_000)
    assert 99 < Clock(0.5).seconds_since(stopped.timestamp() - 50, stopped.mark()) < 200


def test_where_there_are_no_waits_everything_is_long_ago() -> None:
    clock = Clock(0)
    assert clock.seconds_since(clock.timestamp(), clock.mark()) == math.inf
