"""INIT, then one invocation after the other."""

import os
import sys

from . import context, errors, json_codec, logs
from .client import RuntimeApi, RuntimeApiError

_EXIT_INIT_ERROR = 1  # exit codes are those of the service's runtime; snapshot.py has 64 and 65


def run():
    _add_site_builtins()
    handler_name = os.environ.get("_HANDLER", "")
    sys.argv[1:] = [handler_name]
    api = RuntimeApi(os.environ["AWS_LAMBDA_RUNTIME_API"],
                     pipelined=os.environ.pop("_ZORYA_PIPELINED", "") == "1")
    logs.install()
    handler = _init(api, handler_name)
    if os.environ.get("AWS_LAMBDA_INITIALIZATION_TYPE") == "snap-start":
        from . import snapshot

        snapshot.cross(api)
    try:
        while True:
            _serve(api, handler)
    except (RuntimeApiError, OSError) as error:
        # Without the Runtime API there is nothing left to do; the platform sees the exit.
        sys.stderr.write("runtime: %s\n" % error)
        sys.exit(1)


def _add_site_builtins():
    # -S leaves out `site`, and with it the names exit() and quit() that functions do use.
    import _sitebuiltins
    import builtins

    builtins.quit = _sitebuiltins.Quitter("quit", "Ctrl-D (i.e. EOF)")
    builtins.exit = _sitebuiltins.Quitter("exit", "Ctrl-D (i.e. EOF)")


def _init(api, handler_name):
    try:
        return _load_handler(handler_name)
    except Exception:
        error, _ = errors.of_current_exception()
        errors.log(error)
        api.post_init_error(json_codec.encode(error).encode("utf-8", "replace"), error["errorType"])
        sys.exit(_EXIT_INIT_ERROR)


def _load_handler(handler_name):
    import importlib

    try:
        module_name, function_name = handler_name.rsplit(".", 1)
    except ValueError as error:
        raise errors.Fault("Runtime.MalformedHandlerName", "Bad handler '%s': %s" % (handler_name, error))
    if module_name.split(".")[0] in sys.builtin_module_names:
        raise errors.Fault("Runtime.BuiltInModuleConflict",
                           "Cannot use built-in module %s as a handler module" % module_name)
    try:
        module = importlib.import_module(module_name.replace("/", "."))
    except ImportError as error:
        raise errors.Fault("Runtime.ImportModuleError",
                           "Unable to import module '%s': %s" % (module_name, error))
    except SyntaxError as error:
        raise errors.Fault("Runtime.UserCodeSyntaxError",
                           "Syntax error in module '%s': %s" % (module_name, error),
                           ['  File "%s" Line %s\n    %s' % (error.filename, error.lineno, error.text)])
    try:
        return getattr(module, function_name)
    except AttributeError:
        raise errors.Fault("Runtime.HandlerNotFound",
                           "Handler '%s' missing on module '%s'" % (function_name, module_name))


def _serve(api, handler):
    reply = api.next()
    headers = reply.headers
    request_id = headers["lambda-runtime-aws-request-id"]
    invocation_id = headers.get("lambda-runtime-invocation-id")
    logs.request_id = request_id
    logs.tenant_id = headers.get("lambda-runtime-aws-tenant-id")
    _set_trace(headers.get("lambda-runtime-trace-id"))
    try:
        event = json_codec.decode_event(reply.body, headers.get("content-type"))
        body, content_type = json_codec.encode_result(handler(event, context.from_headers(headers)))
    except Exception:
        # SystemExit and KeyboardInterrupt go through: an exit of the handler is an exit of the runtime.
        error, cause = errors.of_current_exception(request_id)
        errors.log(error)
        # Escaped, for a header carries ASCII only.
        xray = json_codec.json.dumps(cause).encode("ascii")
        api.post_error(request_id, json_codec.encode(error).encode("utf-8", "replace"), xray, invocation_id)
    else:
        api.post_result(request_id, body, content_type, invocation_id)


def _set_trace(trace_id):
    if trace_id:
        os.environ["_X_AMZN_TRACE_ID"] = trace_id
    else:
        os.environ.pop("_X_AMZN_TRACE_ID", None)
