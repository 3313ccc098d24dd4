"""Golden files: each `name.sql` is run statement by statement as admin, and every answer is compared with `name.out`.

A statement ends with `;` at the end of a line. `@app statement` runs it in the session of the plain role app. In the
output: the command tag and rows, or `ERROR sqlstate: text`; notices as `NOTICE sqlstate: text`. Job ids are masked. The
next statement comes when no job is under way, but in a transaction.

    golden_test.py --update        writes the .out files anew: read the difference before you commit it
"""
import pathlib
import re
import sys

import psycopg
import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from support.jobs import wait_for_all_jobs  # noqa: E402
from support.scratch_server import ScratchServer  # noqa: E402

FOLDER = pathlib.Path(__file__).resolve().parent
FILES = sorted(FOLDER.glob("*.sql"))
JOB_ID = re.compile(r"\b[a-z2-7]{26}\b")


def statements(text: str) -> list[str]:
    """The statements of a file, with the comment lines before them left out."""
    lines = [line for line in text.splitlines() if not line.startswith("--")]
    return [part.strip() for part in re.split(r";[ \t]*(?:\n|$)", "\n".join(lines)) if part.strip()]


def answer(connection: psycopg.Connection, statement: str, notices: list[str]) -> list[str]:
    notices.clear()
    try:
        cursor = connection.execute(statement)
    except psycopg.Error as error:
        lines = [f"ERROR {error.sqlstate}: {error.diag.message_primary}"]
        lines += [f"DETAIL: {error.diag.message_detail}"] if error.diag.message_detail else []
        lines += [f"HINT: {error.diag.message_hint}"] if error.diag.message_hint else []
        return notices + lines
    rows = [" | ".join("" if value is None else str(value) for value in row) for row in cursor] \
        if cursor.description else []
    return [*notices, *rows, cursor.statusmessage or ""]


def run(server: ScratchServer, file: pathlib.Path) -> str:
    with server.connect() as owner:
        owner.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public AUTHORIZATION admin")
        owner.execute("REVOKE ALL ON SCHEMA public FROM PUBLIC")
    sessions: dict[str, tuple[psycopg.Connection, list[str]]] = {}
    output = []
    jobs_left = False
    for statement in statements(file.read_text()):
        role, text = re.fullmatch(r"(?:@(\w+)\s+)?(.*)", statement, re.DOTALL).groups()
        role = role or "admin"
        if role not in sessions:
            connection, notices = server.connect(role), []
            connection.add_notice_handler(
                lambda said, into=notices: into.append(f"NOTICE {said.sqlstate}: {said.message_primary}"))
            sessions[role] = (connection, notices)
        output.append(f"{statement};")
        connection, notices = sessions[role]
        said = answer(connection, text, notices)
        output += said
        jobs_left |= any(line.startswith("NOTICE ZR001") for line in said)
        if jobs_left and connection.info.transaction_status == psycopg.pq.TransactionStatus.IDLE:
            wait_for_all_jobs(server)
            jobs_left = False
        output.append("")
    for connection, _ in sessions.values():
        connection.close()
    return JOB_ID.sub("<job_id>", "\n".join(output))


@pytest.fixture(scope="module")
def server():
    with ScratchServer(roles=("app",), settings={"lock_timeout": "50ms"}) as started:
        yield started


@pytest.mark.parametrize("file", FILES, ids=[file.stem for file in FILES])
def test_answers_are_as_written(server, file):
    assert run(server, file) == file.with_suffix(".out").read_text()


if __name__ == "__main__":
    with ScratchServer(roles=("app",), settings={"lock_timeout": "50ms"}) as updated:
        chosen = [file for file in FILES if len(sys.argv) < 3 or file.stem in sys.argv[2:]]
        for written in chosen:
            written.with_suffix(".out").write_text(run(updated, written))
