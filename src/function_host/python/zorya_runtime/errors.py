"""Errors in the service's form: the payload a caller gets, the X-Ray cause, the log text."""

import os
import sys

_OUR_FOLDER = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


class Fault(Exception):
    """An error the runtime itself found, with the service's type and message."""

    def __init__(self, error_type, message, trace=None):
        super().__init__(message)
        self.error_type = error_type
        self.message = message
        self.trace = trace


def payload(message, error_type, stack_trace=None, request_id=None):
    return {
        "errorMessage": message or "",
        "errorType": error_type or "",
        "requestId": request_id or "",
        "stackTrace": stack_trace or [],
    }


def of_current_exception(request_id=None):
    """(payload, X-Ray cause) of the exception being handled. Our own frames at the head are left out."""
    kind, value, trace = sys.exc_info()
    if isinstance(value, Fault):
        return (payload(value.message, value.error_type, value.trace, request_id),
                _xray_cause("LambdaValidationError", value.message, []))
    import traceback

    frames = [(f.filename, f.lineno, f.name, f.line) for f in traceback.extract_tb(trace)]
    while len(frames) > 1 and _is_ours(frames[0][0]):
        del frames[0]
    return (payload(str(value), kind.__name__, traceback.format_list(frames), request_id),
            _xray_cause(kind.__name__, str(value), frames))


def _is_ours(filename):
    return filename.startswith(_OUR_FOLDER + "/zorya_runtime/") or filename == _OUR_FOLDER + "/bootstrap.py"


def _xray_cause(kind, message, frames):
    return {
        "working_directory": os.getcwd(),
        "exceptions": [{
            "message": message,
            "type": kind,
            "stack": [{"label": name, "path": path, "line": line} for path, line, name, _ in frames],
        }],
        "paths": sorted({frame[0] for frame in frames}),
    }


def log(error):
    """Writes an error payload to standard output as the service's runtime does: in text one event with inner
    line ends as CR and leading blanks as U+00A0, so that it stays one event."""
    if os.environ.get("AWS_LAMBDA_LOG_FORMAT", "").upper() == "JSON":
        import time

        from .json_codec import encode

        stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        text = encode(dict({"timestamp": stamp, "level": "ERROR"}, **error))
    else:
        text = "\r".join(_text_lines(error))
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def _text_lines(error):
    parts = [part for part in (error["errorType"], error["errorMessage"]) if part]
    yield "[ERROR] " + ": ".join(parts) if parts else "[ERROR]"
    yield "Traceback (most recent call last):"
    for element in error["stackTrace"]:
        for line in element.splitlines() or [""]:
            bare = line.lstrip(" ")
            yield "\u00a0" * (len(line) - len(bare)) + bare
