"""Statements near the golden ones: heads and tails joined anew, words left out, swapped and put in. Whatever the answer is, the session must
live on, nothing may be an internal error, and what no session may change must be as before.

    mutation_test.py [count] [seed]      a longer run; prints the seed of a failure
"""
import pathlib
import random
import re
import sys

import psycopg
import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from sql.golden_test import FILES, statements  # noqa: E402
from support.scratch_server import ScratchServer  # noqa: E402

TOKEN = re.compile(r"'(?:[^']|'')*'|\"[^\"]*\"|/\*a\*/|\w+|::|\s+|[-+*/<>=~!@#%^&|?]+|.", re.DOTALL)
COUNT = 3000


def tokens_of(text: str) -> list[str]:
    return TOKEN.findall(text)


def spliced(first: list[str], second: list[str], dice: random.Random) -> list[str]:
    """The head of one statement and the tail of another, joined at a word that both have."""
    common = [token for token in set(first) & set(second) if token.strip()]
    if not common:
        return first
    joint = dice.choice(sorted(common))
    return first[:first.index(joint)] + second[second.index(joint):]


def mutated(texts: list[list[str]], dice: random.Random) -> str:
    tokens = list(dice.choice(texts))
    if dice.random() < 0.5:
        tokens = spliced(tokens, dice.choice(texts), dice)
    for _ in range(dice.choice((0, 1, 1, 2))):
        places = [at for at, token in enumerate(tokens) if token.strip()]
        if not places:
            break
        at, word = dice.choice(places), dice.choice(dice.choice(texts))
        kind = dice.randrange(4)
        if kind == 0:
            tokens[at] = ""
        elif kind == 1:
            tokens[at] = word
        elif kind == 2:
            tokens.insert(at, word + " ")
        else:
            other = dice.choice(places)
            tokens[at], tokens[other] = tokens[other], tokens[at]
    return "".join(tokens)


def internal_errors(server: ScratchServer, count: int, seed: int) -> list[str]:
    dice = random.Random(seed)
    texts = [tokens_of(text.removeprefix("@app ")) for file in FILES for text in statements(file.read_text())]
    connection = server.connect("admin")
    pid = connection.info.backend_pid
    found = []
    for _ in range(count):
        statement = mutated(texts, dice)
        if re.search(r"copy .* (stdin|stdout)", statement, re.IGNORECASE):
            continue  # the protocol's other half is not played here
        try:
            connection.execute(statement)
        except psycopg.Error as error:
            if connection.closed or error.sqlstate is None or error.sqlstate.startswith("XX"):
                found.append(f"{statement}: {error}")
            if connection.closed:
                break
        if dice.random() < 0.1 and connection.info.transaction_status != psycopg.pq.TransactionStatus.IDLE:
            connection.execute("ROLLBACK")
    if not found:
        assert connection.execute("SELECT pg_backend_pid()").fetchone() == (pid,)
    return found


@pytest.fixture(scope="module")
def server():
    with ScratchServer(roles=("app",), settings={"lock_timeout": "50ms"}) as started:
        yield started


def test_no_statement_ends_a_session_or_is_an_internal_error(server):
    assert internal_errors(server, COUNT, seed=20261126) == []
    connection = server.connect("admin")
    assert connection.execute("SELECT amname, count(*) FROM pg_class c JOIN pg_am a ON a.oid = c.relam JOIN pg_namespace n"
                              " ON n.oid = c.relnamespace WHERE relkind = 'r' AND nspname NOT IN ('pg_catalog',"
                              " 'information_schema', 'sys') AND amname <> 'btree-table' GROUP BY 1").fetchall() == []
    assert connection.execute("SELECT count(*) FROM pg_class WHERE relpersistence <> 'p'").fetchone() == (0,)
    assert connection.execute("SELECT count(*) FROM pg_db_role_setting").fetchone() == (0,)
    assert connection.execute("SELECT count(*) FROM pg_proc WHERE proowner <> 10 AND prolang <> 14").fetchone() == (0,)


if __name__ == "__main__":
    seed_given = int(sys.argv[2]) if len(sys.argv) > 2 else random.SystemRandom().randrange(2**31)
    print("seed", seed_given)
    with ScratchServer(roles=("app",), settings={"lock_timeout": "50ms"}) as chosen:
        for line in internal_errors(chosen, int(sys.argv[1]) if len(sys.argv) > 1 else COUNT, seed_given):
            print(line)
        print([line for line in chosen.log().splitlines() if "signal" in line or "PANIC" in line])
