"""A todo manager: one function behind an HTTP API, its rows in Aurora DSQL."""

import re
import uuid
from datetime import datetime, timezone

from aws_lambda_powertools import Logger, Tracer
from aws_lambda_powertools.event_handler import APIGatewayRestResolver, Response
from aws_lambda_powertools.event_handler.exceptions import BadRequestError, NotFoundError
from aws_lambda_powertools.logging import correlation_paths

import database

logger = Logger(service="todos")
tracer = Tracer(service="todos")
app = APIGatewayRestResolver()

TITLE_LENGTH_MAX = 200
LIMIT_DEFAULT = 20
LIMIT_MAX = 100
UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
COLUMNS = "id, title, done, created_at, updated_at"


@app.post("/todos")
def create_todo():
    fields = read_fields()
    if "title" not in fields:
        raise BadRequestError("title is required")
    # The id is made here, not in the database: if a retry repeats an insert whose answer was lost, it stays one todo.
    todo_id = uuid.uuid4()

    def insert(connection):
        row = connection.execute(
            f"INSERT INTO todos (id, title, done) VALUES (%s, %s, %s) ON CONFLICT (id) DO NOTHING RETURNING {COLUMNS}",
            (todo_id, fields["title"], fields.get("done", False)),
        ).fetchone()
        return row or select(connection, todo_id)

    row = database.run(insert)
    logger.info("todo created", extra={"todo_id": str(todo_id)})
    return to_json(row), 201


@app.get("/todos")
def list_todos():
    query = app.current_event.query_string_parameters or {}
    done = read_done(query.get("done"))
    limit = read_limit(query.get("limit"))
    after = read_cursor(query.get("after"))
    conditions, values = [], []
    if done is not None:
        conditions.append("done = %s")
        values.append(done)
    if after is not None:
        conditions.append("(created_at, id) > (%s, %s)")
        values.extend(after)
    where = f"WHERE {' AND '.join(conditions)}" if conditions else ""
    # One row more than asked for tells whether there is a next page.
    rows = database.run(
        lambda connection: connection.execute(
            f"SELECT {COLUMNS} FROM todos {where} ORDER BY created_at, id LIMIT %s", (*values, limit + 1)
        ).fetchall()
    )
    page = [to_json(row) for row in rows[:limit]]
    last = page[-1] if len(rows) > limit else None
    return {"todos": page, "next": f"{last['created_at']}_{last['id']}" if last else None}


@app.get("/todos/<todo_id>")
def get_todo(todo_id: str):
    key = read_id(todo_id)
    row = database.run(lambda connection: select(connection, key))
    return found(row, todo_id)


@app.put("/todos/<todo_id>")
def change_todo(todo_id: str):
    key = read_id(todo_id)
    fields = read_fields()
    if not fields:
        raise BadRequestError("title or done is required")
    row = database.run(
        lambda connection: connection.execute(
            "UPDATE todos SET title = COALESCE(%s, title), done = COALESCE(%s, done), updated_at = now()"
            f" WHERE id = %s RETURNING {COLUMNS}",
            (fields.get("title"), fields.get("done"), key),
        ).fetchone()
    )
    return found(row, todo_id)


@app.delete("/todos/<todo_id>")
def delete_todo(todo_id: str):
    key = read_id(todo_id)
    row = database.run(
        lambda connection: connection.execute("DELETE FROM todos WHERE id = %s RETURNING id", (key,)).fetchone()
    )
    if row is None:
        raise NotFoundError(f"no todo {todo_id}")
    return Response(status_code=204)


@logger.inject_lambda_context(correlation_id_path=correlation_paths.API_GATEWAY_REST)
@tracer.capture_lambda_handler
def handler(event, context):
    return app.resolve(event, context)


def select(connection, key):
    return connection.execute(f"SELECT {COLUMNS} FROM todos WHERE id = %s", (key,)).fetchone()


def found(row, todo_id):
    if row is None:
        raise NotFoundError(f"no todo {todo_id}")
    return to_json(row)


def to_json(row):
    todo_id, title, done, created_at, updated_at = row
    return {
        "id": str(todo_id),
        "title": title,
        "done": done,
        "created_at": to_timestamp(created_at),
        "updated_at": to_timestamp(updated_at),
    }


def to_timestamp(value: datetime) -> str:
    return value.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def read_fields() -> dict:
    """title and done of the request's body, those that are there."""
    try:
        body = app.current_event.json_body
    except (ValueError, RecursionError):  # no JSON, or behind base64 no text, or nested beyond reason
        raise BadRequestError("the body is not JSON") from None
    if not isinstance(body, dict):
        raise BadRequestError("the body must be a JSON object")
    fields = {}
    if "title" in body:
        fields["title"] = read_title(body["title"])
    if "done" in body:
        if not isinstance(body["done"], bool):
            raise BadRequestError("done must be true or false")
        fields["done"] = body["done"]
    return fields


def read_title(title) -> str:
    if not isinstance(title, str) or not 1 <= len(title) <= TITLE_LENGTH_MAX:
        raise BadRequestError(f"title must be a text of 1 to {TITLE_LENGTH_MAX} characters")
    # What JSON can say and a text column cannot hold.
    if any(c == "\0" or "\ud800" <= c <= "\udfff" for c in title):
        raise BadRequestError("title holds a character that cannot be stored")
    return title


def read_id(text: str) -> uuid.UUID:
    if not UUID.fullmatch(text):
        raise BadRequestError("the id is not a UUID")
    return uuid.UUID(text)


def read_done(text: str | None) -> bool | None:
    if text in (None, ""):
        return None
    if text not in ("true", "false"):
        raise BadRequestError("done must be true or false")
    return text == "true"


def read_limit(text: str | None) -> int:
    if text in (None, ""):
        return LIMIT_DEFAULT
    if not re.fullmatch(r"[0-9]{1,3}", text) or not 1 <= int(text) <= LIMIT_MAX:
        raise BadRequestError(f"limit must be a number from 1 to {LIMIT_MAX}")
    return int(text)


def read_cursor(text: str | None) -> tuple[datetime, uuid.UUID] | None:
    """The place that `next` of the page before named: time and id of its last todo."""
    if text in (None, ""):
        return None
    timestamp, _, todo_id = text.partition("_")
    try:
        moment = datetime.strptime(timestamp, "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=timezone.utc)
    except ValueError:
        raise BadRequestError("after is not what next was") from None
    if not UUID.fullmatch(todo_id):
        raise BadRequestError("after is not what next was")
    return moment, uuid.UUID(todo_id)
