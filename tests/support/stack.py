"""A small stack for tests of the whole: one function without dependencies, one database cluster."""
import os
import pathlib
import textwrap

# A function's program for provided.al2023: the Runtime API in a few lines. Its answer is what answer.txt says, or, for a path
# that ends in /env, a variable of its environment.
BOOTSTRAP = '''\
#!/usr/bin/python3
import json, os, urllib.request
API = "http://" + os.environ["AWS_LAMBDA_RUNTIME_API"] + "/2018-06-01/runtime/invocation/"
answer = open(os.environ["LAMBDA_TASK_ROOT"] + "/answer.txt").read().strip()
while True:
    with urllib.request.urlopen(API + "next") as response:
        request, event = response.headers["Lambda-Runtime-Aws-Request-Id"], json.load(response)
    print("asked for", event.get("path"), flush=True)
    body = os.environ.get("DSQL_ENDPOINT", "") if str(event.get("path")).endswith("/env") else answer
    result = json.dumps({"statusCode": 200, "headers": {"content-type": "text/plain"}, "body": body}).encode()
    urllib.request.urlopen(API + request + "/response", result).read()
'''

TEMPLATE = '''\
Transform: AWS::Serverless-2016-10-31
Globals:
  Function: {{Runtime: provided.al2023, Handler: bootstrap, Timeout: 10, MemorySize: 256, Tracing: Active}}
  Api: {{TracingEnabled: true}}
Resources:
  Answer:
    Type: AWS::Serverless::Function
    Properties:
      CodeUri: code
      Environment: {{Variables: {{DSQL_ENDPOINT: {endpoint}}}}}
      Events:
        Answer: {{Type: Api, Properties: {{Path: /answer, Method: GET}}}}
        Env: {{Type: Api, Properties: {{Path: /env, Method: GET}}}}
{more}'''

CLUSTER = '''\
  Db:
    Type: AWS::DSQL::Cluster
    Properties: {DeletionProtectionEnabled: false}
'''


class Stack:
    """The folder of a template and its code. Open to all: a function's user must reach the code."""

    def __init__(self, place, name="stack"):
        self.folder = place / name
        (self.folder / "code").mkdir(parents=True)
        self.write_code("bootstrap", BOOTSTRAP, mode=0o755)
        self.answer("first")
        self.write_template()

    def write_template(self, text=None, *, endpoint="!GetAtt Db.Endpoint", more=CLUSTER):
        """Atomically, as editors do."""
        text = text if text is not None else TEMPLATE.format(endpoint=endpoint, more=more)
        self._write(self.folder / "template.yaml", textwrap.dedent(text), 0o644)

    def write_code(self, name, text, mode=0o644):
        self._write(self.folder / "code" / name, text, mode)

    def answer(self, text):
        self.write_code("answer.txt", text)

    @staticmethod
    def _write(path, text, mode):
        fresh = pathlib.Path(f"{path}~")
        fresh.write_text(text)
        fresh.chmod(mode)
        os.replace(fresh, path)
