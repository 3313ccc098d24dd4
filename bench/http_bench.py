#!/usr/bin/env python3
"""HTTP to a function that only answers, and back, warm: C++ and Python on a real `zorya up`; and the gateway's own share.

    ZORYA_BUILD=build/release build/test-venv/bin/python bench/http_bench.py [--seconds 3] [--rounds 3]

A closed loop over keep-alive connections on this machine, 1 and 8 of them, after half a second of warming up; `gateway` is
the same load on a gateway whose function host answers at once from another thread. Each line of the JSON has the median,
minimum and maximum over the rounds of p50, p95, p99 (microseconds) and of requests per second. The programs it runs are the
targets zorya, hello_function, http_load and gateway_load.
"""
import argparse
import json
import os
import pathlib
import platform
import shutil
import statistics
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "tests"))
os.environ.setdefault("ZORYA_BUILD", str(HERE.parent / "build" / "release"))

from support.private_cluster import scratch_folder  # noqa: E402
from support.scratch_server import build_folder  # noqa: E402
from support.zorya_up import Up  # noqa: E402

TEMPLATE = """AWSTemplateFormatVersion: "2010-09-09"
Transform: AWS::Serverless-2016-10-31
Globals:
  Function: {Timeout: 10, MemorySize: 512}
Resources:
"""
FUNCTION = """  %(name)sFunction:
    Type: AWS::Serverless::Function
    Properties:
      Runtime: %(runtime)s
      Handler: app.handler
      CodeUri: %(code)s
      Events:
        Get: {Type: Api, Properties: {Path: "/%(code)s/{name}", Method: GET}}
"""


def make_project(folder):
    (folder / "cpp").mkdir(parents=True)
    shutil.copy(build_folder() / "bench" / "hello" / "bootstrap", folder / "cpp" / "bootstrap")
    shutil.copytree(HERE / "functions" / "hello-python", folder / "python")
    text = TEMPLATE + FUNCTION % {"name": "Cpp", "runtime": "provided.al2023", "code": "cpp"}
    text += FUNCTION % {"name": "Python", "runtime": "python3.12", "code": "python"}
    (folder / "template.yaml").write_text(text)
    return folder / "template.yaml"


def lines_of(*argv):
    done = subprocess.run([str(word) for word in argv], capture_output=True, text=True, timeout=120)
    if done.returncode != 0:
        raise RuntimeError(f"{argv}: {done.stdout}{done.stderr}")
    return [json.loads(line) for line in done.stdout.splitlines()]


def spread(values):
    return {"median": statistics.median(values), "min": min(values), "max": max(values)}


def summary(runs):
    names = ("p50_us", "p95_us", "p99_us", "per_second")
    out = {name: spread([run[name] for run in runs]) for name in names}
    out["failed"] = sum(run["other_answers"] + run["failures"] for run in runs)
    return out


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    bin_folder = build_folder() / "bin"
    found = {}
    folder = scratch_folder()
    try:
        template = make_project(folder / "hello")
        with Up(folder, template, "--nearest-runtime") as up:
            for _ in range(arguments.rounds):
                for code in ("cpp", "python"):
                    url = f"{up.ready['api_url']}/{code}/world"
                    for line in lines_of(bin_folder / "http_load", url, "-c", 1, "-c", 8, "-s", arguments.seconds):
                        found.setdefault((code, line["connections"]), []).append(line)
        for _ in range(arguments.rounds):
            for line in lines_of(bin_folder / "gateway_load"):
                found.setdefault(("gateway", line["connections"]), []).append(line)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    results = [{"function": code, "connections": count, **summary(runs)} for (code, count), runs in found.items()]
    print(json.dumps({"machine": platform.machine(), "cores": os.cpu_count(), "load_average": os.getloadavg()[0],
                      "rounds": arguments.rounds, "seconds": arguments.seconds, "results": results}))


main()
