"""The SnapStart half: hooks before, the snapshot, uniqueness, hooks after.

Beside the public way (GET restore/next) there is a faster one: when the host has given us its clone library
and a control socket on descriptor 3, this process becomes the template that clones environments of itself.
"""

import os
import sys

from . import errors, json_codec

_CLONE_LIBRARY = "libzorya_clone.so"
_CONTROL_FD = 3
_EXIT_BEFORE_SNAPSHOT = 64
_EXIT_AFTER_RESTORE = 65


def cross(api):
    """Returns in the restored environment, ready to ask for its first invocation."""
    try:
        _run_before_snapshot()
        credentials = _boto_credentials()
        _quiesce()
        _snapshot(api)
    except Exception:
        _fail(api.post_init_error, "Runtime.BeforeSnapshotError", _EXIT_BEFORE_SNAPSHOT)
    try:
        _make_unique(credentials)
        _run_after_restore()
    except Exception:
        _fail(api.post_restore_error, "Runtime.AfterRestoreError", _EXIT_AFTER_RESTORE)


def _fail(post, error_type, exit_code):
    error, _ = errors.of_current_exception()
    errors.log(error)
    post(json_codec.encode(error).encode("utf-8", "replace"), error_type)
    sys.exit(exit_code)


def _hooks(name):
    # A function that never imported the module has no hooks.
    module = sys.modules.get("snapshot_restore_py")
    return getattr(module, name)() if module is not None else []


def _run_before_snapshot():
    hooks = _hooks("get_before_snapshot")
    while hooks:
        function, arguments, keywords = hooks.pop()
        function(*arguments, **keywords)


def _run_after_restore():
    for function, arguments, keywords in _hooks("get_after_restore"):
        function(*arguments, **keywords)


def _quiesce():
    import gc

    sys.stdout.flush()
    sys.stderr.flush()
    # What is alive now is moved out of the collector's sight: a collection in a clone would touch, and so copy,
    # every page of it.
    gc.collect()
    gc.freeze()


def _snapshot(api):
    library = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), _CLONE_LIBRARY)
    if not (os.path.exists(library) and _is_socket(_CONTROL_FD)):
        api.restore_next()
        return
    import ctypes

    # PyDLL keeps the interpreter's lock during the call: nothing of Python runs while memory is shared.
    clone = ctypes.PyDLL(library)
    api.close()
    if clone.zorya_template_ready(json_codec.encode(_lint_report()).encode()) != 0:
        raise RuntimeError("the host did not take the snapshot")
    if clone.zorya_clone_loop() != 0:
        raise RuntimeError("the clone loop ended without an environment")


def _is_socket(fd):
    import stat

    try:
        return stat.S_ISSOCK(os.fstat(fd).st_mode)
    except OSError:
        return False


def _lint_report():
    """What only Python knows of threads; the host looks at the process from outside besides."""
    threading = sys.modules.get("threading")
    threads = threading.enumerate() if threading is not None else []
    return {
        "python": "%d.%d.%d" % sys.version_info[:3],
        "threads": len(os.listdir("/proc/self/task")),
        "thread_names": [t.name for t in threads if t is not threading.main_thread()],
        "modules": len(sys.modules),
    }


def _boto_credentials():
    """The refreshable credentials that INIT left cached, looked for before they are frozen out of sight."""
    module = sys.modules.get("botocore.credentials")
    if module is None:
        return []
    import gc

    # By type(), not isinstance(): a proxy's __class__ may run anybody's code.
    return [thing for thing in gc.get_objects() if issubclass(type(thing), module.RefreshableCredentials)]


def _make_unique(credentials):
    """Nothing remembered from before the snapshot may be equal in two environments or pass for current."""
    modules = sys.modules
    if "_ssl" in modules:
        modules["_ssl"].RAND_add(os.urandom(64), 64.0)
    if "random" in modules:
        modules["random"].seed()
    if "tempfile" in modules:
        modules["tempfile"]._name_sequence = None
    if "numpy.random" in modules:
        modules["numpy.random"].seed()
    _expire(credentials)


def _expire(credentials):
    if not credentials:
        return
    import datetime

    past = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)
    for each in credentials:
        # Private, but the only way short of new sessions: the next use fetches new ones.
        if hasattr(each, "_expiry_time"):
            each._expiry_time = past
