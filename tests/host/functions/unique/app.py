"""Shows what a clone may share with its siblings and what it must not."""

import os
import random
import secrets
import socket
import ssl
import tempfile
import time
import uuid

from snapshot_restore_py import register_after_restore, register_before_snapshot

order = []
init_id = uuid.uuid4().hex  # made at INIT: the same in every clone, as on AWS
random.random()
secrets.token_hex(8)
ssl.RAND_bytes(8)
named = open("/tmp/init.txt", "w+")
named.write("from init\n")
named.flush()
deleted = tempfile.TemporaryFile()
deleted.write(b"deleted\n")
deleted.flush()
connection = socket.create_connection(("abc.dsql.us-east-1.on.aws", 5432), 5)
init_greeting = connection.recv(100).decode()
traces = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)  # as a tracing library keeps one
traces.connect(("127.0.0.1", 2000))


@register_before_snapshot
def first_before():
    order.append("before 1")


@register_before_snapshot
def second_before():
    order.append("before 2")


@register_after_restore
def first_after():
    order.append("after 1")


@register_after_restore
def second_after():
    order.append("after 2")


def use_init_connection():
    try:
        connection.sendall(b"mine")
        return "sent"
    except OSError as error:
        return type(error).__name__


def new_connection():
    with socket.create_connection(("abc.dsql.us-east-1.on.aws", 5432), 60) as fresh:
        return fresh.recv(100).decode()


def write_init_files(mark):
    for file, text in ((named, mark), (deleted, mark.encode())):
        file.seek(0, 2)
        file.write(text)
        file.flush()
        file.seek(0)
    return [named.read(), deleted.read().decode()]


def handler(event, context):
    traces.send(b'{"format": "json", "version": 1}\n{"name": "%s"}' % context.aws_request_id.encode())
    time.sleep(event.get("sleep", 0))
    if event.get("op") == "raise":
        raise ValueError("as asked")
    return {
        "init_id": init_id,
        "order": order,
        "unique": {
            "random": random.random(),
            "secrets": secrets.token_hex(16),
            "uuid4": uuid.uuid4().hex,
            "openssl": ssl.RAND_bytes(16).hex(),
            "temporary": next(tempfile._get_candidate_names()),
            "connection": new_connection(),
        },
        "init_greeting": init_greeting,
        "init_connection": use_init_connection(),
        "files": write_init_files(context.aws_request_id),
        "pid": os.getpid(),
        "key": os.environ.get("AWS_ACCESS_KEY_ID"),
        "uri": os.environ.get("AWS_CONTAINER_CREDENTIALS_FULL_URI"),
        "stream": os.environ.get("AWS_LAMBDA_LOG_STREAM_NAME"),
    }
