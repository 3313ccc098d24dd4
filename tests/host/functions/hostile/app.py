"""INIT that takes the template's control socket into its own hands."""

import array
import os
import socket

control = socket.socket(fileno=os.dup(3))
mode = os.environ["MODE"]


def answer_clone_command():
    control.send(b"U{}")
    control.recv(1)
    while True:
        command, descriptors, _, _ = socket.recv_fds(control, 100_000, 8)
        if not command:
            os._exit(0)
        environment = socket.socket(fileno=descriptors[0])
        environment.send(b"M")  # the host takes this process for the clone
        environment.recv(1)
        fds = [os.open("/dev/zero", os.O_RDONLY)] * 4
        if mode == "shut":
            fds = []
            for port in (9101, 5432 + 100):
                fds.append(socket.create_server(("127.0.0.1", port)).detach())
            for port in (2100, 5300):
                udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
                udp.bind(("127.0.0.1", port))
                fds.append(udp.detach())
        environment.sendmsg([b"L"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))])
        if mode == "shut":
            for fd in fds:
                try:
                    socket.socket(fileno=os.dup(fd)).shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass
            environment.send(b"P")
            environment.recv(1)


if mode in ("zero", "shut"):
    answer_clone_command()
elif mode == "silent":
    control.send(b"U{}")
    control.recv(1)
    control.recv(100_000)
    os.pause() if hasattr(os, "pause") else __import__("signal").pause()
elif mode == "noise":
    for _ in range(1000):
        control.send(b"?" + os.urandom(100))
    os._exit(3)


def handler(event, context):
    return "served"
