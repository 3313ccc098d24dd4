#!/usr/bin/env python3
"""What every implementation of the todo API must do. Standard library only.

usage: contract_test.py BASE_URL [unittest arguments]     e.g. contract_test.py http://127.0.0.1:3000
"""

import base64
import concurrent.futures
import http.client
import json
import re
import sys
import unittest
import urllib.parse
import uuid

TIMEOUT_S = 30
base_url = None  # set by main, or by a program that imports this

TIMESTAMP = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$")


class Answer:
    def __init__(self, status, headers, body):
        self.status = status
        self.headers = headers
        self.body = body

    def json(self):
        return json.loads(self.body)


def call(method, path, body=None, headers=None):
    """`body`: a value to be sent as JSON, or bytes to be sent as they are."""
    url = urllib.parse.urlsplit(base_url)
    connection = http.client.HTTPConnection(url.hostname, url.port or 80, timeout=TIMEOUT_S)
    try:
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        given = {"Content-Type": "application/json"} if data is not None else {}
        connection.request(method, url.path.rstrip("/") + path, data, dict(given, **(headers or {})))
        response = connection.getresponse()
        return Answer(response.status, response.headers, response.read())
    finally:
        connection.close()


class Contract(unittest.TestCase):
    maxDiff = None

    def create(self, **fields):
        answer = call("POST", "/todos", dict({"title": "a todo"}, **fields))
        self.assertEqual(answer.status, 201, answer.body)
        todo = answer.json()
        self.addCleanup(call, "DELETE", "/todos/" + todo["id"])
        return todo

    def refused(self, answer, status=400):
        self.assertEqual(answer.status, status, answer.body)
        self.assertIn("application/json", answer.headers["Content-Type"])
        message = answer.json()["message"]
        self.assertTrue(message and isinstance(message, str))

    def pages(self, query):
        """Every page of a list, following `next`."""
        after = None
        while True:
            given = dict(query, **({"after": after} if after else {}))
            answer = call("GET", "/todos?" + urllib.parse.urlencode(given))
            self.assertEqual(answer.status, 200, answer.body)
            page = answer.json()
            self.assertEqual(sorted(page), ["next", "todos"])
            yield page
            after = page["next"]
            if after is None:
                return

    def listed(self, **query):
        return [todo for page in self.pages(dict({"limit": 100}, **query)) for todo in page["todos"]]


class Creating(Contract):
    def test_a_todo_has_all_its_fields(self):
        todo = self.create(title="Milch, Käse & 🥚")
        self.assertEqual(list(todo), ["id", "title", "done", "created_at", "updated_at"])
        self.assertEqual(str(uuid.UUID(todo["id"])), todo["id"])
        self.assertEqual((todo["title"], todo["done"]), ("Milch, Käse & 🥚", False))
        self.assertRegex(todo["created_at"], TIMESTAMP)
        self.assertEqual(todo["created_at"], todo["updated_at"])

    def test_done_may_be_given(self):
        self.assertIs(self.create(done=True)["done"], True)

    def test_the_answer_is_json(self):
        answer = call("POST", "/todos", {"title": "x"})
        self.addCleanup(call, "DELETE", "/todos/" + answer.json()["id"])
        self.assertIn("application/json", answer.headers["Content-Type"])

    def test_a_title_has_1_to_200_characters(self):
        self.assertEqual(self.create(title="é" * 200)["title"], "é" * 200)
        self.assertEqual(self.create(title="🥚" * 200)["title"], "🥚" * 200)
        self.assertEqual(self.create(title=" ")["title"], " ")
        self.refused(call("POST", "/todos", {"title": "x" * 201}))
        self.refused(call("POST", "/todos", {"title": ""}))

    def test_quotes_are_only_characters(self):
        title = "Robert'); DROP TABLE todos;-- \\ \" %s $1 \t\n"
        self.assertEqual(self.create(title=title)["title"], title)

    def test_wrong_fields_are_refused(self):
        for body in ({}, {"done": True}, {"title": None}, {"title": 5}, {"title": ["x"]}, {"title": "x", "done": "yes"},
                     {"title": "x", "done": None}, {"title": "x", "done": 1}, {"title": "a\0b"}, [], "x", 5, None):
            with self.subTest(body=body):
                self.refused(call("POST", "/todos", json.dumps(body).encode()))

    def test_wrong_bodies_are_refused(self):
        for body in (b"", b"{", b"title=x", b'{"title":"x"} x', b'{"title":"\\ud800"}', b"[" * 100_000):
            with self.subTest(body=body[:20]):
                self.refused(call("POST", "/todos", body))

    def test_unknown_fields_are_let_pass(self):
        todo = self.create(title="x", colour="red")
        self.assertNotIn("colour", todo)


class Reading(Contract):
    def test_a_todo_is_read_by_its_id(self):
        todo = self.create()
        answer = call("GET", "/todos/" + todo["id"])
        self.assertEqual((answer.status, answer.json()), (200, todo))
        self.assertEqual(call("GET", "/todos/" + todo["id"].upper()).json(), todo)

    def test_an_absent_todo_is_404(self):
        for method, body in (("GET", None), ("PUT", {"done": True}), ("DELETE", None)):
            with self.subTest(method):
                self.refused(call(method, "/todos/%s" % uuid.uuid4(), body), 404)

    def test_a_malformed_id_is_400(self):
        for bad in ("x", "123", "0" * 36, "{%s}" % uuid.uuid4(), uuid.uuid4().hex, "'", "%s0" % uuid.uuid4()):
            for method, body in (("GET", None), ("PUT", {"done": True}), ("DELETE", None)):
                with self.subTest(method, id=bad):
                    self.refused(call(method, "/todos/" + urllib.parse.quote(bad), body))


class Listing(Contract):
    def test_todos_come_in_the_order_they_were_made(self):
        made = [self.create(title="%d" % i)["id"] for i in range(5)]
        listed = [todo["id"] for todo in self.listed()]
        self.assertEqual([i for i in listed if i in made], made)

    def test_pages_join_without_gap_or_repeat(self):
        made = [self.create(title="%d" % i)["id"] for i in range(7)]
        pages = list(self.pages({"limit": 3}))
        self.assertTrue(all(len(page["todos"]) == 3 for page in pages[:-1]))
        listed = [todo["id"] for page in pages for todo in page["todos"]]
        self.assertEqual(len(listed), len(set(listed)))
        self.assertEqual([i for i in listed if i in made], made)

    def test_done_filters(self):
        done, open_ = self.create(done=True), self.create(done=False)
        for value, wanted, unwanted in (("true", done, open_), ("false", open_, done)):
            listed = self.listed(done=value)
            self.assertTrue(all(todo["done"] is (value == "true") for todo in listed))
            self.assertIn(wanted, listed)
            self.assertNotIn(unwanted, listed)

    def test_the_default_page_has_20(self):
        for i in range(21):
            self.create(title="%d" % i)
        page = call("GET", "/todos").json()
        self.assertEqual(len(page["todos"]), 20)
        self.assertIsInstance(page["next"], str)

    def test_wrong_parameters_are_refused(self):
        for query in ("limit=0", "limit=101", "limit=x", "limit=-1", "limit=1.5", "limit=%2B1", "done=1", "done=TRUE",
                      "after=x", "after=%27", "after=2026-01-01T00%3A00%3A00.000000Z_x"):
            with self.subTest(query):
                self.refused(call("GET", "/todos?" + query))

    def test_empty_parameters_are_as_if_absent(self):
        self.assertEqual(call("GET", "/todos?done=&limit=&after=").status, 200)


class Changing(Contract):
    def test_a_change_of_one_field_keeps_the_other(self):
        todo = self.create(title="old")
        changed = call("PUT", "/todos/" + todo["id"], {"done": True}).json()
        self.assertEqual(dict(changed, updated_at=None), dict(todo, done=True, updated_at=None))
        self.assertGreater(changed["updated_at"], todo["updated_at"])
        renamed = call("PUT", "/todos/" + todo["id"], {"title": "new"}).json()
        self.assertEqual((renamed["title"], renamed["done"]), ("new", True))
        self.assertEqual(call("GET", "/todos/" + todo["id"]).json(), renamed)

    def test_a_wrong_change_is_refused_and_changes_nothing(self):
        todo = self.create()
        for body in (b"{}", b"", b"[]", b'{"title":""}', b'{"done":"no"}', b'{"title":"' + b"x" * 201 + b'"}'):
            with self.subTest(body=body[:20]):
                self.refused(call("PUT", "/todos/" + todo["id"], body))
        self.assertEqual(call("GET", "/todos/" + todo["id"]).json(), todo)

    def test_ten_at_once_on_one_todo_all_succeed(self):
        # Optimistic: the losers are run again by the function, not by the client.
        todo = self.create()
        with concurrent.futures.ThreadPoolExecutor(10) as pool:
            answers = list(pool.map(lambda i: call("PUT", "/todos/" + todo["id"], {"title": "t%d" % i}), range(10)))
        self.assertEqual([answer.status for answer in answers], [200] * 10, [a.body for a in answers if a.status != 200])
        self.assertEqual({answer.json()["title"] for answer in answers}, {"t%d" % i for i in range(10)})


class Deleting(Contract):
    def test_a_deleted_todo_is_gone(self):
        todo = self.create()
        answer = call("DELETE", "/todos/" + todo["id"])
        self.assertEqual((answer.status, answer.body), (204, b""))
        self.refused(call("GET", "/todos/" + todo["id"]), 404)
        self.refused(call("DELETE", "/todos/" + todo["id"]), 404)
        self.assertNotIn(todo["id"], [t["id"] for t in self.listed()])


class Bodies(Contract):
    def test_a_chunked_body_is_taken(self):
        url = urllib.parse.urlsplit(base_url)
        connection = http.client.HTTPConnection(url.hostname, url.port or 80, timeout=TIMEOUT_S)
        self.addCleanup(connection.close)
        connection.request("POST", url.path.rstrip("/") + "/todos", iter([b'{"title":', b'"in parts"}']),
                           {"Content-Type": "application/json"}, encode_chunked=True)
        response = connection.getresponse()
        self.assertEqual(response.status, 201)
        todo = json.loads(response.read())
        self.addCleanup(call, "DELETE", "/todos/" + todo["id"])
        self.assertEqual(todo["title"], "in parts")

    def test_a_body_of_another_content_type_is_taken(self):
        answer = call("POST", "/todos", b'{"title":"curl -d"}', {"Content-Type": "application/x-www-form-urlencoded"})
        self.assertEqual(answer.status, 201, answer.body)
        self.addCleanup(call, "DELETE", "/todos/" + answer.json()["id"])

    def test_base64_text_is_not_json(self):
        self.refused(call("POST", "/todos", base64.b64encode(b'{"title":"x"}')))


def main():
    global base_url
    if len(sys.argv) < 2 or not sys.argv[1].startswith("http://"):
        sys.exit(__doc__.strip())
    base_url = sys.argv.pop(1)
    unittest.main()


if __name__ == "__main__":
    main()
