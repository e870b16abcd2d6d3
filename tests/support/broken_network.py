"""A TCP proxy in front of a server, whose network a test can break."""

from __future__ import annotations

import select
import socket
import threading
from contextlib import contextmanager, suppress


@contextmanager
def network_to(port):
    """Yield a proxy of the server at *port* of this computer."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        network = Network(listener, port)
        accepting = threading.Thread(target=network.accept)
        accepting.start()
        try:
            yield network
        finally:
            network.is_over = True
            network.cut()
            accepting.join()


class Network:
    def __init__(self, listener, port):
        self._listener = listener
        self._server = port
        self.port = listener.getsockname()[1]
        self.is_over = False
        self._forwards = True
        self._pairs = []

    def cut(self):
        """Close all connections."""
        for ends in self._pairs:
            for end in ends:
                with suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)

    def stall(self):
        """Forward nothing any more, and accept what is sent."""
        self._forwards = False

    def lose_answers(self):
        """Forward what is sent to the server, and none of its answers."""
        self._forwards = "to the server"

    def mend(self):
        """Close the connections of before, and forward new ones."""
        self.cut()
        self._forwards = True

    def accept(self):
        while not self.is_over:
            if select.select([self._listener], [], [], 0.02)[0]:
                client, _ = self._listener.accept()
                server = socket.create_connection(("127.0.0.1", self._server))
                pair = client, server
                self._pairs.append(pair)
                for way in (pair, pair[::-1]):
                    threading.Thread(target=self._forward, args=way).start()

    def _forward(self, source, sink):
        to_server = sink.getpeername()[1] == self._server
        with source, suppress(OSError):
            while data := source.recv(65536):
                if self._forwards is True or (self._forwards and to_server):
                    sink.sendall(data)
        with suppress(OSError):
            sink.shutdown(socket.SHUT_RDWR)
