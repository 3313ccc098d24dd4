"""`zorya up` on an existing data folder: time from its start to the first 200, time to stop, and memory at rest.

Prints JSON. Aims: first 200 within 0.5 s for the C++ example and 1.5 s for the Python one; at most 80 MiB of proportional set
size with the database. Options: --runs N (5), --example NAME (todos-cpp, todos; may be given twice).
"""
import argparse
import http.client
import json
import os
import pathlib
import platform
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
BUILD = pathlib.Path(os.environ.get("ZORYA_BUILD", ROOT / "build" / "release"))
ZORYA = BUILD / "bin" / "zorya"
PATIENCE_S = 300


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def status_of_get(port, path):
    """The status of one request; nothing while nobody listens."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_S)
    try:
        connection.request("GET", path)
        return connection.getresponse().status
    except ConnectionRefusedError:
        return None
    finally:
        connection.close()


def start(example, data):
    """Starts and waits for the first 200. (process, port, seconds)."""
    port = free_port()
    begin = time.perf_counter()
    process = subprocess.Popen(
        [ZORYA, "up", ROOT / "examples" / example, "--stack", "todos", "--nearest-runtime", "--data", data, "--port", str(port),
         "--dsql-port", "0"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL)
    while status_of_get(port, "/todos") != 200:
        if process.poll() is not None or time.perf_counter() - begin > PATIENCE_S:
            sys.exit(f"zorya up {example} did not answer")
        time.sleep(0.002)
    return process, port, time.perf_counter() - begin


def stop(process):
    begin = time.perf_counter()
    process.send_signal(signal.SIGINT)
    process.wait(timeout=60)
    return time.perf_counter() - begin


def memory_mib(data):
    status = subprocess.run([ZORYA, "status", "--json", "--data", data], capture_output=True, check=True, timeout=30)
    return json.loads(status.stdout)["memory_bytes"] / 2**20


def spread(values, digits):
    return {"median": round(statistics.median(values), digits), "min": round(min(values), digits),
            "max": round(max(values), digits)}


def measure(example, runs):
    first, stops, memory = [], [], []
    with tempfile.TemporaryDirectory(prefix="zorya-bench-") as folder:
        os.chmod(folder, 0o755)
        data = pathlib.Path(folder) / "data"
        process, _, made = start(example, data)
        stop(process)
        for _ in range(runs):
            process, _, seconds = start(example, data)
            first.append(seconds * 1000)
            time.sleep(2)  # parked clones are made ahead; then it rests
            memory.append(memory_mib(data))
            stops.append(stop(process) * 1000)
    return {"first_200_on_an_empty_folder_ms": round(made * 1000), "first_200_ms": spread(first, 0),
            "stop_ms": spread(stops, 0), "memory_at_rest_mib_pss": spread(memory, 1)}


def main():
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--runs", type=int, default=5)
    options.add_argument("--example", action="append", choices=["todos-cpp", "todos"])
    options = options.parse_args()
    result = {"bench": "up", "machine": f"{platform.machine()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}",
              "command": " ".join(sys.argv), "build": BUILD.name, "runs": options.runs}
    for example in options.example or ["todos-cpp", "todos"]:
        result[example] = measure(example, options.runs)
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
