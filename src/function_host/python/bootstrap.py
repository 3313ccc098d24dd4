"""Entry of the Python runtime; started as `python3.x -I -S -u /var/runtime/bootstrap.py`.

Kept to a few lines, because a script is compiled at each start and modules are not. The search path is the
service's: the function's code, layers and requirements, the runtime's own libraries, the standard library.
-I -S keep the machine's site-packages and the user's settings out of the function.
"""

import os
import sys

_runtime = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [
    os.environ.get("LAMBDA_TASK_ROOT", "/var/task"),
    "/opt/python/lib/python%d.%d/site-packages" % sys.version_info[:2],
    "/opt/python",
    _runtime,
]

from zorya_runtime import main  # noqa: E402

main.run()
