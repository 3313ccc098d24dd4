"""Waiting for what other processes do."""
import time


def wait_until(condition, what="it", timeout=20.0):
    """What `condition` gives as soon as it is true; an error after `timeout` seconds."""
    deadline = time.monotonic() + timeout
    while True:
        answer = condition()
        if answer:
            return answer
        if time.monotonic() > deadline:
            raise AssertionError(f"{what} did not happen within {timeout} s")
        time.sleep(0.005)
