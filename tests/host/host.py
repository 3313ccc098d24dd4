"""Starts host_tool and talks to it."""

import json
import os
import pathlib
import shutil
import subprocess
import tempfile

from support import plain_user

BUILD = pathlib.Path(os.environ["ZORYA_BUILD"])
FUNCTIONS = pathlib.Path(__file__).parent / "functions"
# What the distribution has: the tests ask for python3.12 and take the nearest.
PYTHON = ["--runtime", "python3.12", "--nearest", "--handler", "app.handler"]
SNAP_START = ["--alias", "live", "--snap-start"]


class Host:
    """`build` is a copied build (support.plain_user): its program runs as the plain user."""

    def __init__(self, *options, data=None, build=None):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="zorya-host-"))
        self.data = data or self.folder / "data"
        self.data.mkdir(exist_ok=True)
        self.log_file = self.folder / "log"
        self.segments_file = self.folder / "segments"
        for file in (self.log_file, self.segments_file):
            file.touch()
        command = [(build or BUILD) / "bin/host_tool", "--data", self.data, "--log", self.log_file,
                   "--segments", self.segments_file, *options]
        if build:
            for path in (self.folder, self.data, self.log_file, self.segments_file):
                os.chown(path, plain_user.UID, plain_user.UID)
            command = plain_user.as_plain_user(*command)
        self.process = subprocess.Popen(
            [str(part) for part in command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd="/"
        )

    def ask(self, line, answers=1):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        return [json.loads(self.process.stdout.readline()) for _ in range(answers)]

    def publish(self):
        return self.ask("publish")[0]

    def invoke(self, event=None):
        return self.ask("invoke " + json.dumps(event or {}))[0]

    def burst(self, count, event=None):
        return self.ask(f"burst {count} " + json.dumps(event or {}), count)

    def status(self):
        return self.ask("status")[0]

    def log(self):
        return self.log_file.read_text()

    def segments(self):
        return self.segments_file.read_text()

    def close(self):
        if self.process.poll() is None:
            self.process.stdin.close()
            assert self.process.wait(30) == 0
        shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
