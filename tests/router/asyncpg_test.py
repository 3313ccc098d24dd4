"""asyncpg as an application uses it with the service: types looked up in the catalogue, a pool, COPY.

The service refuses what asyncpg resets a session with (advisory locks, UNLISTEN), so AWS's own connector gives its pools a
reset that does nothing. So does this test.
"""
import asyncio
import decimal
import socket
import ssl
import uuid

import asyncpg
import pytest


async def keep_as_it_is(_connection):
    pass


@pytest.fixture
def pool_of(router, monkeypatch):
    """Makes a pool; the endpoint's name leads to this machine, as /etc/hosts or DNS would have it."""
    real = socket.getaddrinfo
    monkeypatch.setattr(socket, "getaddrinfo",
                        lambda host, *rest, **more: real("127.0.0.1" if host == router.host else host, *rest, **more))
    context = ssl.create_default_context(cafile=router.ca_file)
    return lambda: asyncpg.create_pool(host=router.host, port=router.port, user="admin", database="postgres", ssl=context,
                                       password=router.token, min_size=2, max_size=2, reset=keep_as_it_is)


def run(pool_of, work):
    async def body():
        async with pool_of() as pool, pool.acquire() as connection:
            return await work(connection)
    return asyncio.run(asyncio.wait_for(body(), 60))


def test_types_are_looked_up_in_the_catalogue(pool_of):
    async def work(connection):
        await connection.execute("CREATE TABLE rows_looked_up (id int PRIMARY KEY, n numeric)")
        await connection.execute("INSERT INTO rows_looked_up VALUES ($1, $2)", 1, decimal.Decimal("1.5"))
        try:
            arrays = await connection.fetchrow("SELECT array_agg(id) AS ids, array_agg(n) AS ns FROM rows_looked_up")
            row = await connection.fetchval("SELECT t FROM rows_looked_up t")
            given = await connection.fetchval("SELECT $1::uuid[]", [uuid.UUID(int=7)])
            return arrays["ids"], arrays["ns"], tuple(row), given
        finally:
            await connection.execute("DROP TABLE rows_looked_up")
    ids, numbers, row, given = run(pool_of, work)
    assert ids == [1] and numbers == [decimal.Decimal("1.5")]
    assert row == (1, decimal.Decimal("1.5")) and given == [uuid.UUID(int=7)]


def test_rows_come_in_parts_without_a_declared_cursor(pool_of, router):
    async def work(connection):
        async with connection.transaction():
            return [row[0] async for row in connection.cursor("SELECT generate_series(1, 1000)", prefetch=100)]
    assert run(pool_of, work) == list(range(1, 1001))
    with router.connect() as client:
        assert sum(1 for _ in client.cursor().stream("SELECT generate_series(1, 1000)")) == 1000


def test_a_pools_own_reset_is_refused(pool_of):
    async def work(connection):
        await connection.reset()
    with pytest.raises(asyncpg.InsufficientPrivilegeError, match="pg_advisory_unlock_all"):
        run(pool_of, work)


def test_rows_are_copied_and_a_conflict_is_an_exception_of_its_own(pool_of, router):
    async def work(connection):
        await connection.execute("CREATE TABLE rows_of_copy (id int PRIMARY KEY, s text)")
        try:
            await connection.copy_records_to_table("rows_of_copy", records=[(n, str(n)) for n in range(100)])
            with pytest.raises(asyncpg.SerializationError):
                async with connection.transaction():
                    await connection.execute("UPDATE rows_of_copy SET s = 'mine' WHERE id = 1")
                    with router.connect() as other:
                        other.execute("UPDATE rows_of_copy SET s = 'theirs' WHERE id = 1")
            return await connection.fetchrow("SELECT count(*), min(s) FILTER (WHERE id = 1) FROM rows_of_copy")
        finally:
            await connection.execute("DROP TABLE rows_of_copy")
    assert tuple(run(pool_of, work)) == (100, "theirs")
