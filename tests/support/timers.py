"""Timer threads that run when a test says that time has passed."""

from __future__ import annotations


class Timers:
    """Replaces threading.Timer: time passes when a test says so."""

    def __init__(self):
        self.now = 1000.0
        self.waiting = []

    def __call__(self, delay, call):
        return Waiting(self, self.now + delay, call)

    def advance(self, seconds):
        end = self.now + seconds
        while due := [timer for timer in self.waiting if timer.at <= end]:
            self.waiting.remove(due[0])
            self.now = due[0].at
            due[0].call()
        self.now = end


class Waiting:
    daemon = False

    def __init__(self, timers, at, call):
        self.timers, self.at, self.call = timers, at, call

    def start(self):
        assert self.daemon
        self.timers.waiting.append(self)
