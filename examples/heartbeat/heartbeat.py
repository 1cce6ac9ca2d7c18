#!/usr/bin/env python3
"""A service that says when it is ready and answers when it is asked whether it lives.

Run by `service up` or as a [program:x] with heartbeat_period=, it speaks the protocol of
docs/protocol.md. Run by hand it works just the same and speaks with nobody.

    heartbeat.py [--hang-after N]     stop answering, and everything else, after N answers
"""

import argparse
import os
import signal
import socket
import time


def control():
    """The control socket, or None when nobody is there to speak with."""
    number = os.environ.pop("BARDO_CTL", None)
    if number is None:
        return None
    os.set_inheritable(int(number), False)
    return socket.socket(fileno=int(number))


def lines(message):
    """The keys and values of a message; of a key that stands twice the last one counts."""
    pairs = (line.partition("=") for line in message.decode().split("\n"))
    return {key: value for key, _, value in pairs}


def main():
    options = argparse.ArgumentParser()
    options.add_argument("--hang-after", type=int, metavar="N")
    hang_after = options.parse_args().hang_after
    signal.signal(signal.SIGTERM, lambda *_: exit(0))
    supervisor = control()
    if supervisor is None:
        signal.pause()
    supervisor.send(b"HELLO=1")
    answers = 0
    while message := supervisor.recv(4096):
        said = lines(message)
        if "INIT" in said:
            # Here a real service opens its files and its sockets.
            print("started", said["INIT"], "as life", said["INSTANCE"], "of", said["LABEL"], flush=True)
            supervisor.send(b"STATUS=nothing to do\nREADY=1")
        elif "COMMIT" in said:
            print("serving", flush=True)
        elif "PING" in said:
            while answers == hang_after:
                time.sleep(3600)
            supervisor.send(b"PONG=" + said["PING"].encode())
            answers += 1
            print("answered", said["PING"], flush=True)


main()
