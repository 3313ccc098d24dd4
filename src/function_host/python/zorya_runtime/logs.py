"""Python logging as the service sets it up: a handler on the root logger, text or JSON, with the request id.

The logging module costs milliseconds, so it is not imported for a function that does not use it: `install`
waits for the function's own import of it and sets it up then, before the importer sees it.
"""

import os
import sys

request_id = None  # of the current invocation
tenant_id = None


def install():
    if "logging" in sys.modules:
        _set_up()
    else:
        sys.meta_path.insert(0, _LoggingFinder())


class _LoggingFinder:
    """Finds `logging` once, by asking the other finders, and runs our set-up after the module's own code."""

    def find_spec(self, name, path=None, target=None):
        if name != "logging":
            return None
        sys.meta_path.remove(self)
        for finder in sys.meta_path:
            find = getattr(finder, "find_spec", None)  # a function's own finder may be of the old kind
            spec = find(name, path, target) if find is not None else None
            if spec is not None:
                break
        else:
            return None
        execute = spec.loader.exec_module

        def exec_module(module):
            execute(module)
            # The import statement has entered it in sys.modules by now.
            _set_up()

        spec.loader.exec_module = exec_module
        return spec


def _set_up():
    import logging
    import time

    logging.Formatter.converter = time.gmtime
    is_json = os.environ.get("AWS_LAMBDA_LOG_FORMAT", "").upper() == "JSON"
    level = os.environ.get("AWS_LAMBDA_LOG_LEVEL", "").upper()
    level = {"TRACE": "DEBUG", "WARN": "WARNING", "FATAL": "CRITICAL"}.get(level, level)

    class LambdaLoggerFilter(logging.Filter):
        def filter(self, record):
            record.aws_request_id = request_id or ""
            record.tenant_id = tenant_id
            return True

    class LambdaLoggerHandler(logging.Handler):
        def emit(self, record):
            # One write is one event: the text ends with its newline.
            try:
                sys.stdout.write(self.format(record))
                sys.stdout.flush()
            except Exception:
                self.handleError(record)

    handler = LambdaLoggerHandler()
    handler.setFormatter(_json_formatter(logging) if is_json else logging.Formatter(
        "[%(levelname)s]\t%(asctime)s.%(msecs)03dZ\t%(aws_request_id)s\t%(message)s\n", "%Y-%m-%dT%H:%M:%S"))
    handler.addFilter(LambdaLoggerFilter())
    root = logging.getLogger()
    if level in ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"):
        root.setLevel(level)
    root.addHandler(handler)


_RESERVED = frozenset((
    "name", "msg", "args", "levelname", "levelno", "pathname", "filename", "module", "exc_info", "exc_text",
    "stack_info", "lineno", "funcName", "created", "msecs", "relativeCreated", "thread", "threadName",
    "processName", "process", "taskName", "aws_request_id", "tenant_id", "_frame_type"))


def _json_formatter(logging):
    import json
    import traceback

    dumps = json.JSONEncoder(ensure_ascii=False, default=str).encode

    class JsonFormatter(logging.Formatter):
        def format(self, record):
            kind, value, trace = record.exc_info or (None, None, None)
            level = min(50, max(0, record.levelno)) // 10 * 10
            plain = isinstance(record.msg, dict) and not record.args
            result = {
                "timestamp": self.formatTime(record, "%Y-%m-%dT%H:%M:%SZ"),
                "level": logging.getLevelName(level),
                "message": record.msg if plain else record.getMessage(),
                "logger": record.name,
                "stackTrace": traceback.format_tb(trace) if kind else None,
                "errorType": kind.__name__ if kind else None,
                "errorMessage": str(value) if kind else None,
                "requestId": getattr(record, "aws_request_id", None),
                "location": "%s:%s:%d" % (record.pathname, record.funcName, record.lineno) if kind else None,
                "tenantId": getattr(record, "tenant_id", None),
            }
            for key, extra in record.__dict__.items():
                if key not in _RESERVED and key not in result:
                    result[key] = extra
            return dumps({key: field for key, field in result.items() if field is not None}) + "\n"

    return JsonFormatter()
