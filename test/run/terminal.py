"""Drives a command in a terminal of its own.

usage: terminal.py STEPS COMMAND...

STEPS is a JSON list. ["see", TEXT] waits until the terminal has shown TEXT after what was seen before; ["type", TEXT] types it;
["wait", SECONDS] waits. Prints a JSON object: "shown", everything that appeared; "status", as a shell would give it.
"""

import json
import os
import pty
import select
import signal
import sys
import time

PATIENCE = 20.0


def main():
    steps, command = json.loads(sys.argv[1]), sys.argv[2:]
    pid, terminal = pty.fork()
    if pid == 0:
        os.environ["TERM"] = "xterm"
        os.execvp(command[0], command)
    shown, seen = b"", 0

    def listen(seconds):
        """Takes what the terminal shows; False when it is closed."""
        nonlocal shown
        if select.select([terminal], [], [], seconds)[0]:
            try:
                data = os.read(terminal, 65536)
            except OSError:
                return False
            shown += data
            return bool(data)
        return True

    failure = None
    for what, value in steps:
        if what == "type":
            os.write(terminal, value.encode())
        elif what == "wait":
            end = time.monotonic() + value
            while time.monotonic() < end and listen(0.05):
                pass
        else:
            end = time.monotonic() + PATIENCE
            while value.encode() not in shown[seen:] and time.monotonic() < end and listen(0.1):
                pass
            at = shown.find(value.encode(), seen)
            if at < 0:
                failure = "did not see " + repr(value)
                break
            seen = at + len(value.encode())
    end = time.monotonic() + (0 if failure else PATIENCE)
    while time.monotonic() < end and listen(0.1):
        pass
    if failure or time.monotonic() >= end:
        failure = failure or "did not end"
        os.kill(pid, signal.SIGKILL)
    status = os.waitpid(pid, 0)[1]
    code = 128 + os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)
    json.dump({"status": code, "shown": shown.decode(errors="replace"), "failure": failure}, sys.stdout)


main()
