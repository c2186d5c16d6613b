import asyncio
import threading

from headgate.stores.turn import OneTurn


async def test_what_is_asked_in_the_same_turn_is_known_and_no_longer() -> None:
    turn: OneTurn[str, int] = OneTurn()
    seen: list[int | None] = []

    async def ask(number: int) -> None:
        seen.append(turn.answers.get("a"))
        turn.answers["a"] = number

    await asyncio.gather(*(ask(number) for number in range(3)))
    await asyncio.gather(*(ask(number) for number in range(3)))
    assert seen == [None, 0, 1] * 2


async def test_what_comes_later_is_served_after_it_was_forgotten() -> None:
    turn: OneTurn[str, int] = OneTurn()
    turn.answers["a"] = 1
    came = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().call_soon(lambda: came.set_result(dict(turn.answers)))
    assert await came == {}


def test_a_loop_that_ended_before_it_forgot_leaves_nothing_to_the_next() -> None:
    turn: OneTurn[str, int] = OneTurn()

    async def ask() -> int | None:
        known = turn.answers.get("a")
        turn.answers["a"] = 1
        return known

    def once() -> int | None:
        loop = asyncio.new_event_loop()
        try:
            coroutine = ask()
            task = loop.create_task(coroutine)
            task.add_done_callback(lambda _: loop.stop())
            loop.run_forever()
            return task.result()
        finally:
            loop.close()

    assert [once(), once()] == [None, None]


def test_each_loop_has_its_own_turns() -> None:
    turn: OneTurn[str, int] = OneTurn()
    known: list[dict[str, int]] = []

    async def ask() -> None:
        known.append(dict(turn.answers))

    async def ask_here_and_elsewhere() -> None:
        turn.answers["a"] = 1
        thread = threading.Thread(target=asyncio.run, args=(ask(),))
        thread.start()
        thread.join()
        known.append(dict(turn.answers))

    asyncio.run(ask_here_and_elsewhere())
    assert known == [{}, {}]
