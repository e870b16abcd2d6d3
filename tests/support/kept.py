"""Run a server program until standard input ends; then kill it and remove its folder.

Standard input is a pipe that the tests hold open, so that nothing remains of them
however they end. Usage: ``python kept.py FOLDER USER COMMAND...``; an empty USER is
the current one.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading


def main(folder: str, user: str, *command: str) -> None:
    # PostgreSQL refuses to run as root.
    options = {"user": user, "group": user, "extra_groups": []} if user else {}
    server = subprocess.Popen(command, stdin=subprocess.DEVNULL, **options)
    over = threading.Event()

    def end_with_the_tests() -> None:
        # Not by sys.stdin, whose lock would delay the end of this process by a second.
        while os.read(0, 1):
            pass
        over.set()
        server.send_signal(signal.SIGQUIT)  # PostgreSQL's immediate shutdown

    threading.Thread(target=end_with_the_tests, daemon=True).start()
    server.wait()
    if over.is_set():
        shutil.rmtree(folder)


if __name__ == "__main__":
    main(*sys.argv[1:])
