"""JSON of events and results.

The service's runtime encodes with simplejson, which a function can see: Decimal becomes a number, a named tuple
an object. Plain values, which is nearly all, go through the standard encoder; the rest goes through simplejson,
which /var/runtime holds as on the service.
"""

import json
import os

from .errors import Fault

_PLAIN = frozenset((str, int, float, bool, type(None)))
_DEPTH_MAX = 16
_LENGTH_MAX = 1000  # looking through more costs more than the other encoder does


def _escapes_ascii():
    # Since python3.12 the service writes non-ASCII characters as they are.
    name = os.environ.get("AWS_EXECUTION_ENV", "")
    digits = name[len("AWS_Lambda_python3."):] if name.startswith("AWS_Lambda_python3.") else ""
    return not (digits.isdigit() and int(digits) >= 12)


_ensure_ascii = _escapes_ascii()
_plain_encode = json.JSONEncoder(ensure_ascii=_ensure_ascii).encode


def _is_plain(value, depth):
    kind = type(value)
    if kind in _PLAIN:
        return True
    if depth == 0 or (kind is not dict and kind is not list) or len(value) > _LENGTH_MAX:
        return False
    if kind is dict:
        return all(type(k) is str and _is_plain(v, depth - 1) for k, v in value.items())
    return all(_is_plain(v, depth - 1) for v in value)


_rich_encode = None


def encode(value):
    """`value` as JSON text. Raises what the encoder raises."""
    if _is_plain(value, _DEPTH_MAX):
        return _plain_encode(value)
    global _rich_encode
    if _rich_encode is None:
        _rich_encode = _make_rich_encoder()
    return _rich_encode(value)


def _make_rich_encoder():
    try:
        import simplejson
    except ImportError:  # the runtime folder of a test without libraries
        return _plain_encode
    import decimal
    import math

    class Encoder(simplejson.JSONEncoder):
        def __init__(self):
            super().__init__(use_decimal=False, ensure_ascii=_ensure_ascii, allow_nan=True)

        def default(self, o):
            if isinstance(o, decimal.Decimal):
                return math.nan if o.is_nan() else simplejson.RawJSON(str(o))
            return super().default(o)

    return Encoder().encode


def decode_event(body, content_type):
    """The event of an invocation; a body that is not JSON by its type is handed over as bytes. Raises Fault."""
    if content_type and content_type.split(";")[0].strip() != "application/json":
        return body
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as error:
        raise Fault("Runtime.UnmarshalError", "Unable to unmarshal input: %s" % error)


def encode_result(result):
    """(bytes, content type) of what a handler returned. Raises Fault."""
    if isinstance(result, bytes):
        return result, b"application/unknown"
    try:
        # A lone surrogate cannot be UTF-8: the caller must get the error, not a broken answer.
        return encode(result).encode("utf-8"), b"application/json"
    except Exception as error:  # whatever a user's type raises while it is encoded
        raise Fault("Runtime.MarshalError", "Unable to marshal response: %s" % error)
