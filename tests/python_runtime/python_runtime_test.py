"""The Python runtime against a scripted Runtime API, without a sandbox.

Where the interpreter of this test has the service's own client (awslambdaric), the cases that are about what
a function or its caller can see run with both clients, and both must answer alike.

usage: python_runtime_test.py   (environment: ZORYA_TEST_PYTHON = interpreter that runs our runtime)
"""

import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import textwrap
import time
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from scripted_runtime_api import ScriptedRuntimeApi

HERE = os.path.dirname(os.path.abspath(__file__))
RUNTIME = os.path.abspath(os.path.join(HERE, "../../src/function_host/python"))
PYTHON = os.environ.get("ZORYA_TEST_PYTHON", "/usr/bin/python3")
HAS_RIC = importlib.util.find_spec("awslambdaric") is not None
ID = "8476a536-e9f4-11e8-9739-2dfe598c3fcd"
ARN = "arn:aws:lambda:us-east-1:000000000000:function:f:live"
TIMEOUT_S = 20


def invocation(body=b"{}", **headers):
    given = {
        "Lambda-Runtime-Aws-Request-Id": ID,
        "Lambda-Runtime-Deadline-Ms": str(int(time.time() * 1000) + 3000),
        "Lambda-Runtime-Invoked-Function-Arn": ARN,
        "Lambda-Runtime-Trace-Id": "Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700;Parent=9a9197af755a6419;Sampled=1",
    }
    given.update({k.replace("_", "-"): v for k, v in headers.items()})
    return given, body


class Run:
    """One runtime process that ran through its script."""

    def __init__(self, code, invocations=(), handler="app.handler", env=None, client="ours", files=None, **script):
        with tempfile.TemporaryDirectory() as task:
            for name, text in dict({"app.py": code}, **(files or {})).items():
                with open(os.path.join(task, name), "w") as file:
                    file.write(textwrap.dedent(text))
            self.api = ScriptedRuntimeApi(invocations, **script)
            environ = {
                "PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", "TZ": ":UTC", "AWS_LAMBDA_RUNTIME_API": self.api.address,
                "_HANDLER": handler, "LAMBDA_TASK_ROOT": task, "AWS_EXECUTION_ENV": "AWS_Lambda_python3.12",
                "AWS_LAMBDA_FUNCTION_NAME": "f", "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "128",
                "AWS_LAMBDA_FUNCTION_VERSION": "1", "AWS_LAMBDA_LOG_GROUP_NAME": "/aws/lambda/f",
                "AWS_LAMBDA_LOG_STREAM_NAME": "s",
            }
            environ.update(env or {})
            if client == "ours":
                command = [PYTHON, "-I", "-S", "-u", os.path.join(RUNTIME, "bootstrap.py")]
            else:
                command = [sys.executable, "-m", "awslambdaric", handler]
                environ["PYTHONPATH"] = task
            self._play(command, task, environ)
            self.task = task

    def _play(self, command, task, environ):
        process = subprocess.Popen(command, cwd=task, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        deadline = time.monotonic() + TIMEOUT_S
        try:
            while process.poll() is None and not self.api.idle.wait(0.01):
                if time.monotonic() > deadline:
                    raise AssertionError("the runtime neither ended nor waited within %d s" % TIMEOUT_S)
            self.exited = process.poll() is not None
            if not self.exited:
                process.kill()
            out, err = process.communicate(timeout=TIMEOUT_S)
            self.status = process.returncode if self.exited else None
            self.out, self.err = out.decode(), err.decode()
        finally:
            process.kill()
            process.wait()
            self.api.close()

    def response(self, index=0):
        found = self.api.of("/response")
        if index >= len(found):
            raise AssertionError("no response; out: %r err: %r" % (self.out, self.err))
        return found[index]

    def error(self):
        found = self.api.of(ID + "/error")
        if not found:
            raise AssertionError("no error; out: %r err: %r" % (self.out, self.err))
        return json.loads(found[0].body)

    def init_error(self):
        found = self.api.of("/init/error")
        if not found:
            raise AssertionError("no init error; out: %r err: %r" % (self.out, self.err))
        return found[0].headers.get("lambda-runtime-function-error-type"), json.loads(found[0].body)


def clients():
    return ["ours", "awslambdaric"] if HAS_RIC else ["ours"]


class Invocations(unittest.TestCase):
    def test_the_result_goes_back_as_json(self):
        for client in clients():
            with self.subTest(client):
                run = Run("def handler(event, context): return {'got': event, 'é': 1.5}", [invocation(b'{"a":[1,null]}')],
                          client=client)
                self.assertEqual(run.response().path, "/2018-06-01/runtime/invocation/%s/response" % ID)
                self.assertEqual(run.response().body.decode(), '{"got": {"a": [1, null]}, "é": 1.5}')
                self.assertEqual(run.response().headers["content-type"], "application/json")

    def test_non_ascii_is_escaped_below_python3_12(self):
        for client in clients():
            with self.subTest(client):
                run = Run("def handler(event, context): return 'é'", [invocation()], client=client,
                          env={"AWS_EXECUTION_ENV": "AWS_Lambda_python3.11"})
                self.assertEqual(run.response().body, b'"\\u00e9"')

    def test_many_invocations_use_one_connection(self):
        for pipelined in ("0", "1"):
            with self.subTest(pipelined=pipelined):
                run = Run("def handler(event, context): return event", [invocation(b"%d" % i) for i in range(20)],
                          env={"_ZORYA_PIPELINED": pipelined})
                self.assertEqual([r.body for r in run.api.of("/response")], [b"%d" % i for i in range(20)])
                self.assertEqual({r.connection for r in run.api.requests}, {1})

    def test_a_server_that_closes_connections_is_served_too(self):
        run = Run("def handler(event, context): return event", [invocation(b"%d" % i) for i in range(5)],
                  reply_close=True)
        self.assertEqual([r.body for r in run.api.of("/response")], [b"%d" % i for i in range(5)])

    def test_the_pipelining_mark_is_not_seen_by_the_function(self):
        run = Run("import os\ndef handler(e, c): return sorted(k for k in os.environ if 'ZORYA' in k)", [invocation()],
                  env={"_ZORYA_PIPELINED": "1"})
        self.assertEqual(run.response().body, b"[]")

    def test_a_large_event_and_result_pass_whole(self):
        body = json.dumps("x" * 5_000_000).encode()
        run = Run("def handler(event, context): return event", [invocation(body), invocation(b"1")],
                  env={"_ZORYA_PIPELINED": "1"})
        self.assertEqual(run.response().body, body)
        self.assertEqual(run.response(1).body, b"1")

    def test_a_refused_size_does_not_end_the_runtime(self):
        run = Run("def handler(event, context): return event", [invocation(b"1"), invocation(b"2")], result_status=413)
        self.assertEqual([r.body for r in run.api.of("/response")], [b"1", b"2"])

    def test_decimal_and_named_tuple_are_encoded_as_the_service_does(self):
        code = """
            import collections, decimal
            P = collections.namedtuple('P', 'x y')
            def handler(event, context): return {'d': decimal.Decimal('1.10'), 'p': P(1, 2)}
        """
        simplejson = importlib.util.find_spec("simplejson")
        if simplejson is None or not HAS_RIC:
            self.skipTest("needs awslambdaric and its simplejson")
        folder = os.path.dirname(os.path.dirname(simplejson.origin))
        ours = Run("import sys; sys.path.append(%r)\n" % folder + textwrap.dedent(code), [invocation()])
        self.assertEqual(ours.response().body.decode(), '{"d": 1.10, "p": {"x": 1, "y": 2}}')
        theirs = Run(code, [invocation()], client="awslambdaric")
        self.assertEqual(ours.response().body, theirs.response().body)

    def test_a_long_list_passes(self):
        for client in clients():
            with self.subTest(client):
                run = Run("def handler(e, c): return list(range(5000))", [invocation()], client=client)
                self.assertEqual(json.loads(run.response().body), list(range(5000)))

    def test_bytes_go_out_as_they_are(self):
        for client in clients():
            with self.subTest(client):
                run = Run("def handler(event, context): return b'\\x00\\xff'", [invocation()], client=client)
                self.assertEqual(run.response().body, b"\x00\xff")
                self.assertEqual(run.response().headers["content-type"], "application/unknown")

    def test_the_context_has_every_attribute(self):
        code = """
            def handler(event, c):
                return [c.aws_request_id, c.log_group_name, c.log_stream_name, c.function_name, c.memory_limit_in_mb,
                        c.function_version, c.invoked_function_arn, c.tenant_id, c.client_context.custom,
                        c.client_context.env, c.client_context.client.app_title, c.identity.cognito_identity_id,
                        0 < c.get_remaining_time_in_millis() <= 3000]
        """
        client_context = {"custom": {"k": 1}, "env": {"l": "de"}, "client": {"app_title": "T"}}
        for client in clients():
            with self.subTest(client):
                run = Run(code, [invocation(
                    Lambda_Runtime_Client_Context=json.dumps(client_context),
                    Lambda_Runtime_Cognito_Identity='{"cognitoIdentityId":"i","cognitoIdentityPoolId":"p"}')],
                    client=client)
                self.assertEqual(json.loads(run.response().body), [
                    ID, "/aws/lambda/f", "s", "f", "128", "1", ARN, None, {"k": 1}, {"l": "de"}, "T", "i", True])

    def test_a_deadline_in_the_past_leaves_no_time(self):
        run = Run("def handler(e, c): return c.get_remaining_time_in_millis()",
                  [invocation(Lambda_Runtime_Deadline_Ms="1000")])
        self.assertEqual(run.response().body, b"0")

    def test_the_trace_header_is_exported_and_taken_back(self):
        first = invocation()
        second = invocation()
        del second[0]["Lambda-Runtime-Trace-Id"]
        run = Run("import os\ndef handler(e, c): return os.environ.get('_X_AMZN_TRACE_ID')", [first, second])
        self.assertEqual(json.loads(run.response().body), first[0]["Lambda-Runtime-Trace-Id"])
        self.assertEqual(run.response(1).body, b"null")

    def test_an_invocation_id_is_echoed(self):
        run = Run("def handler(e, c): return 1", [invocation(Lambda_Runtime_Invocation_Id="attempt-1")])
        self.assertEqual(run.response().headers["lambda-runtime-invocation-id"], "attempt-1")

    def test_search_path_is_the_services(self):
        run = Run("import sys\ndef handler(e, c): return sys.path", [invocation()])
        path = json.loads(run.response().body)
        self.assertEqual(path[0], run.task)
        self.assertRegex(path[1], r"^/opt/python/lib/python3\.\d+/site-packages$")
        self.assertEqual(path[2:4], ["/opt/python", RUNTIME])
        self.assertFalse([p for p in path if "dist-packages" in p], path)

    def test_exit_and_quit_exist_without_site(self):
        run = Run("def handler(e, c): exit(3)", [invocation()])
        self.assertEqual(run.status, 3)


class HandlerErrors(unittest.TestCase):
    def test_an_exception_becomes_the_services_payload(self):
        code = """
            class Odd(Exception): pass
            def handler(event, context):
                raise Odd('Handler fails')
        """
        for client in clients():
            with self.subTest(client):
                run = Run(code, [invocation(), invocation()], client=client)
                error = run.error()
                self.assertEqual(list(error), ["errorMessage", "errorType", "requestId", "stackTrace"])
                self.assertEqual((error["errorMessage"], error["errorType"], error["requestId"]),
                                 ("Handler fails", "Odd", ID))
                self.assertEqual(len(error["stackTrace"]), 1)
                self.assertRegex(error["stackTrace"][0], r'^  File ".*/app.py", line 4, in handler\n    raise Odd')
                self.assertEqual(len(run.api.of("/error")), 2, "the environment goes on after an exception")
                cause = json.loads(run.api.of("/error")[0].headers["lambda-runtime-function-xray-error-cause"])
                self.assertEqual(cause["exceptions"][0]["type"], "Odd")
                self.assertIn("[ERROR] Odd: Handler fails\rTraceback (most recent call last):\r", run.out)
                self.assertIn("\r\u00a0\u00a0File ", run.out)

    def test_an_error_in_json_format_is_one_json_line(self):
        for client in clients():
            with self.subTest(client):
                run = Run("def handler(e, c): raise ValueError('x')", [invocation()], client=client,
                          env={"AWS_LAMBDA_LOG_FORMAT": "JSON"})
                line = json.loads(run.out)
                self.assertEqual((line["level"], line["errorType"], line["errorMessage"], line["requestId"]),
                                 ("ERROR", "ValueError", "x", ID))
                self.assertRegex(line["timestamp"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$")

    def test_a_result_that_is_not_json_is_a_marshal_error(self):
        for client in clients():
            with self.subTest(client):
                run = Run("def handler(e, c): return object()", [invocation()], client=client)
                self.assertEqual(run.error()["errorType"], "Runtime.MarshalError")
                self.assertIn("Unable to marshal response: Object of type object is not JSON serializable",
                              run.error()["errorMessage"])

    def test_a_result_that_holds_itself_is_a_marshal_error(self):
        for client in clients():
            with self.subTest(client):
                run = Run("def handler(e, c):\n    r = []; r.append(r); return r", [invocation()], client=client)
                self.assertEqual(run.error()["errorType"], "Runtime.MarshalError")

    def test_a_lone_surrogate_is_an_error_and_not_a_broken_answer(self):
        run = Run("def handler(e, c): return '\\ud800'", [invocation(), invocation()])
        self.assertEqual(run.error()["errorType"], "Runtime.MarshalError")
        self.assertEqual(len(run.api.of("/error")), 2)

    def test_an_event_that_is_not_json_is_an_unmarshal_error(self):
        for client in clients():
            with self.subTest(client):
                for body in (b"{", b'"\xff"', b"[" * 100_000):
                    run = Run("def handler(e, c): return 1", [invocation(body)], client=client)
                    self.assertEqual(run.error()["errorType"], "Runtime.UnmarshalError")
                    self.assertTrue(run.error()["errorMessage"].startswith("Unable to unmarshal input: "))

    def test_a_client_context_that_is_not_json_is_named(self):
        for client in clients():
            with self.subTest(client):
                run = Run("def handler(e, c): return 1", [invocation(Lambda_Runtime_Client_Context="{")], client=client)
                self.assertEqual(run.error()["errorType"], "Runtime.LambdaContextUnmarshalError")

    def test_sys_exit_in_the_handler_ends_the_runtime(self):
        for client in clients():
            with self.subTest(client):
                run = Run("import sys\ndef handler(e, c): sys.exit(7)", [invocation()], client=client)
                self.assertEqual((run.status, run.api.of("/error")), (7, []))


class InitErrors(unittest.TestCase):
    def check(self, error_type, message, code="def handler(e, c): pass", handler="app.handler", **more):
        for client in clients():
            with self.subTest(client):
                run = Run(code, handler=handler, client=client, **more)
                header, error = run.init_error()
                self.assertEqual((header, error["errorType"]), (error_type, error_type))
                self.assertRegex(error["errorMessage"], message)
                self.assertEqual(error["requestId"], "")
                self.assertEqual((run.status, run.api.of("/next")), (1, []))
                self.assertIn("[ERROR] %s: " % error_type, run.out)

    def test_missing_module(self):
        self.check("Runtime.ImportModuleError", r"^Unable to import module 'nope': No module named 'nope'$",
                   handler="nope.handler")

    def test_missing_import_in_the_module(self):
        self.check("Runtime.ImportModuleError", r"^Unable to import module 'app': No module named 'absent'$",
                   code="import absent")

    def test_missing_handler(self):
        self.check("Runtime.HandlerNotFound", r"^Handler 'other' missing on module 'app'$", handler="app.other")

    def test_malformed_handler(self):
        self.check("Runtime.MalformedHandlerName", r"^Bad handler 'app': not enough values to unpack", handler="app")

    def test_syntax_error(self):
        self.check("Runtime.UserCodeSyntaxError", r"^Syntax error in module 'app': ", code="def handler(:\n")

    def test_built_in_module(self):
        self.check("Runtime.BuiltInModuleConflict", r"^Cannot use built-in module sys as a handler module$",
                   handler="sys.exit")

    def test_an_exception_in_the_module(self):
        self.check("ZeroDivisionError", r"^division by zero$", code="1/0")

    def test_a_handler_in_a_folder(self):
        run = Run("", [invocation()], handler="app.handler", files={"app.py": "from sub import handler", "sub.py":
                  "def handler(e, c): return __name__"})
        self.assertEqual(run.response().body, b'"sub"')


class Logging(unittest.TestCase):
    TEXT = r"^\[WARNING\]\t\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z\t%s\thello é$" % ID

    def test_text_lines_carry_level_time_and_request_id(self):
        code = """
            import logging
            def handler(e, c):
                logging.getLogger().warning('hello é')
                logging.getLogger('x').info('below the default level')
        """
        for client in clients():
            with self.subTest(client):
                run = Run(code, [invocation()], client=client)
                self.assertRegex(run.out.rstrip("\n"), self.TEXT)

    def test_a_module_that_imports_logging_late_gets_the_same(self):
        run = Run("def handler(e, c):\n    import logging; logging.warning('hello é')", [invocation()])
        self.assertRegex(run.out.rstrip("\n"), self.TEXT)

    def test_basic_config_stays_without_effect(self):
        run = Run("import logging\nlogging.basicConfig(format='%(message)s')\ndef handler(e, c): logging.warning('hello é')",
                  [invocation()])
        self.assertRegex(run.out.rstrip("\n"), self.TEXT)

    def test_json_lines_carry_extra_and_exception(self):
        code = """
            import logging
            def handler(e, c):
                try:
                    1/0
                except ZeroDivisionError:
                    logging.getLogger('x').exception('bad %s', 'day', extra={'order': 7})
                logging.info({'as': 'object'})
        """
        for client in clients():
            with self.subTest(client):
                run = Run(code, [invocation()], client=client,
                          env={"AWS_LAMBDA_LOG_FORMAT": "JSON", "AWS_LAMBDA_LOG_LEVEL": "INFO"})
                first, second = [json.loads(line) for line in run.out.splitlines()]
                self.assertEqual((first["level"], first["message"], first["logger"], first["requestId"], first["order"],
                                  first["errorType"], first["errorMessage"]),
                                 ("ERROR", "bad day", "x", ID, 7, "ZeroDivisionError", "division by zero"))
                self.assertRegex(first["location"], r"app.py:handler:7$")
                self.assertEqual(len(first["stackTrace"]), 1)
                self.assertEqual(second["message"], {"as": "object"})

    def test_the_level_is_that_of_the_configuration(self):
        code = "import logging\ndef handler(e, c): logging.debug('d'); logging.info('i'); logging.error('e')"
        for level, expected in (("TRACE", "die"), ("DEBUG", "die"), ("INFO", "ie"), ("ERROR", "e")):
            for client in clients():
                with self.subTest(client, level=level):
                    run = Run(code, [invocation()], client=client,
                              env={"AWS_LAMBDA_LOG_FORMAT": "JSON", "AWS_LAMBDA_LOG_LEVEL": level})
                    lines = [json.loads(line)["message"] for line in run.out.splitlines()]
                    self.assertEqual("".join(lines), expected)

    def test_print_comes_out_before_the_answer_even_without_a_newline(self):
        run = Run("import os\ndef handler(e, c):\n    print('no newline', end='')\n    os._exit(0)", [invocation()])
        self.assertEqual(run.out, "no newline")


HOOKS = """
    import os
    from snapshot_restore_py import register_before_snapshot, register_after_restore
    seen = []
    register_before_snapshot(seen.append, 'before 1')
    register_before_snapshot(seen.append, 'before 2')
    register_after_restore(seen.append, 'after 1')
    @register_after_restore
    def second(): seen.append('after 2')
    def handler(event, context): return seen
"""
SNAPSHOT_RESTORE_PY = """
    _before_snapshot_registry, _after_restore_registry = [], []
    def register_before_snapshot(func, *args, **kwargs):
        _before_snapshot_registry.append((func, args, kwargs)); return func
    def register_after_restore(func, *args, **kwargs):
        _after_restore_registry.append((func, args, kwargs)); return func
    def get_before_snapshot(): return _before_snapshot_registry
    def get_after_restore(): return _after_restore_registry
"""


class SnapStart(unittest.TestCase):
    ENV = {"AWS_LAMBDA_INITIALIZATION_TYPE": "snap-start"}

    def start(self, code, client="ours", **more):
        # The module of the same interface, so that this test needs nothing from a registry.
        files = {"snapshot_restore_py.py": SNAPSHOT_RESTORE_PY} if client == "ours" else {}
        return Run(code, [invocation()], env=self.ENV, client=client, files=files, **more)

    def test_hooks_run_before_in_reverse_and_after_in_order(self):
        for client in clients():
            with self.subTest(client):
                run = self.start(HOOKS, client)
                self.assertEqual(json.loads(run.response().body), ["before 2", "before 1", "after 1", "after 2"])
                paths = [r.path.rsplit("/runtime/")[1] for r in run.api.requests]
                self.assertEqual(paths[:2], ["restore/next", "invocation/next"])

    def test_a_failing_before_hook_is_an_init_error_with_exit_64(self):
        code = "import snapshot_restore_py as s\ns.register_before_snapshot(lambda: 1/0)\ndef handler(e, c): pass"
        for client in clients():
            with self.subTest(client):
                run = self.start(code, client)
                header, error = run.init_error()
                self.assertEqual((header, error["errorType"]), ("Runtime.BeforeSnapshotError", "ZeroDivisionError"))
                self.assertEqual((run.status, run.api.of("/restore/next")), (64, []))

    def test_a_failing_after_hook_is_a_restore_error_with_exit_65(self):
        code = "import snapshot_restore_py as s\ns.register_after_restore(lambda: 1/0)\ndef handler(e, c): pass"
        for client in clients():
            with self.subTest(client):
                run = self.start(code, client)
                request = run.api.of("/restore/error")[0]
                self.assertEqual(request.headers["lambda-runtime-function-error-type"], "Runtime.AfterRestoreError")
                self.assertEqual(json.loads(request.body)["errorType"], "ZeroDivisionError")
                self.assertEqual((run.status, run.api.of("/invocation/next")), (65, []))

    def test_a_host_without_snapshots_is_told_as_init_error(self):
        run = self.start("def handler(e, c): pass", restore_status=404)
        self.assertEqual((run.init_error()[0], run.status), ("Runtime.BeforeSnapshotError", 64))

    def test_the_seeded_generator_is_reseeded(self):
        run = self.start("import random\nrandom.seed(1)\ndef handler(e, c): return random.random()")
        self.assertNotEqual(json.loads(run.response().body), 0.13436424411240122)

    def test_cached_credentials_are_expired(self):
        code = """
            import sys, types, datetime
            class RefreshableCredentials:
                _expiry_time = 'of the template'
            sys.modules['botocore.credentials'] = types.SimpleNamespace(RefreshableCredentials=RefreshableCredentials)
            kept = RefreshableCredentials()
            def handler(e, c): return str(kept._expiry_time)
        """
        run = self.start(code)
        self.assertEqual(json.loads(run.response().body), "1970-01-01 00:00:00+00:00")

    def test_without_snap_start_no_hook_runs(self):
        run = Run(HOOKS, [invocation()], files={"snapshot_restore_py.py": SNAPSHOT_RESTORE_PY})
        self.assertEqual((json.loads(run.response().body), run.api.of("/restore/next")), ([], []))


class ImportsOfAStart(unittest.TestCase):
    def test_only_cheap_modules_are_loaded_for_a_plain_function(self):
        run = Run("import sys\ndef handler(e, c): return sorted(sys.modules)", [invocation()])
        loaded = set(json.loads(run.response().body))
        self.assertEqual(loaded & {"logging", "traceback", "http.client", "ssl", "threading", "ctypes", "decimal",
                                   "tempfile", "random", "simplejson"}, set())

    def test_no_thread_is_started(self):
        run = Run("import os\ndef handler(e, c): return len(os.listdir('/proc/self/task'))", [invocation()])
        self.assertEqual(run.response().body, b"1")


if __name__ == "__main__":
    unittest.main()
