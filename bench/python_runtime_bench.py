"""The Python runtime against the service's own client (awslambdaric), without a sandbox, JSON on standard output.

Figures of each: start (process start to the first `next`, ms) and CPU per invoke (user + system of the runtime's process, us),
with an event of API Gateway's size echoed. The scripted Runtime API is the same for both and is not in the figures of CPU.

python_runtime_bench.py [ROUNDS [INVOKES]]: medians with minimum and maximum of ROUNDS (default 5), INVOKES each (default 2000).
"""
import json
import os
import pathlib
import platform
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests" / "python_runtime"))
from scripted_runtime_api import ScriptedRuntimeApi  # noqa: E402

BOOTSTRAP = ROOT / "src/function_host/python/bootstrap.py"
COMMANDS = {
    "ours, in one piece": [sys.executable, "-I", "-S", "-u", str(BOOTSTRAP)],
    "ours": [sys.executable, "-I", "-S", "-u", str(BOOTSTRAP)],
    "awslambdaric": [sys.executable, "-m", "awslambdaric", "app.handler"],
}
EVENT = json.dumps({"httpMethod": "GET", "path": "/todos", "headers": {"h%d" % i: "x" * 40 for i in range(20)},
                    "requestContext": {"k%d" % i: "y" * 20 for i in range(20)}}).encode()


def cpu_us(pid):
    """User and system time so far, from the scheduler: nanoseconds, not ticks."""
    return int(pathlib.Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1000


def one_round(name, invokes, task):
    headers = {"Lambda-Runtime-Aws-Request-Id": "id", "Lambda-Runtime-Deadline-Ms": "4102444800000",
               "Lambda-Runtime-Invoked-Function-Arn": "arn"}
    warm = 50
    api = ScriptedRuntimeApi([(headers, EVENT)] * (invokes + warm))
    environ = {"PATH": "/usr/bin:/bin", "AWS_LAMBDA_RUNTIME_API": api.address, "_HANDLER": "app.handler",
               "LAMBDA_TASK_ROOT": task, "PYTHONPATH": task, "AWS_EXECUTION_ENV": "AWS_Lambda_python3.11"}
    if name == "ours, in one piece":
        environ["_ZORYA_PIPELINED"] = "1"
    begin = time.monotonic()
    process = subprocess.Popen(COMMANDS[name], env=environ, cwd=task, stdout=subprocess.DEVNULL)
    try:
        while not api.requests:
            time.sleep(0.0005)
        start_ms = (time.monotonic() - begin) * 1000
        while len(api.of("/response")) < warm:
            time.sleep(0.001)
        before, done = cpu_us(process.pid), len(api.of("/response"))
        if not api.idle.wait(120):
            raise RuntimeError("the runtime did not get through its script")
        return start_ms, (cpu_us(process.pid) - before) / (invokes + warm - done)
    finally:
        process.kill()
        process.wait()
        api.close()


def spread(values):
    return {"median": round(statistics.median(values), 1), "min": round(min(values), 1), "max": round(max(values), 1)}


def main():
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    invokes = int(sys.argv[2]) if len(sys.argv) > 2 else 2000
    figures = {name: ([], []) for name in COMMANDS}
    with tempfile.TemporaryDirectory() as task:
        (pathlib.Path(task) / "app.py").write_text("def handler(event, context): return event\n")
        for _ in range(rounds):
            for name in COMMANDS:  # in turns, so that the machine's mood meets all alike
                start_ms, invoke_us = one_round(name, invokes, task)
                figures[name][0].append(start_ms)
                figures[name][1].append(invoke_us)
    print(json.dumps({"bench": "python_runtime", "machine": platform.platform(), "python": platform.python_version(),
                      "rounds": rounds, "invokes": invokes, "load": os.getloadavg()[0],
                      "runtimes": {name: {"start_ms": spread(starts), "cpu_us_per_invoke": spread(cpu)}
                                   for name, (starts, cpu) in figures.items()}}, indent=1))


if __name__ == "__main__":
    main()
