# SPDX-License-Identifier: Apache-2.0
"""Meter: stands between the driver and the API server and counts what the driver asks. Plain HTTP on loopback to the
driver, TLS to the server, bytes passed on as they are."""
import re
import socket
import ssl
import threading
import time
from urllib.parse import urlsplit

REQUEST = re.compile(rb"^(GET|POST|PUT|PATCH|DELETE) (\S+) HTTP/1\.1\r\n", re.MULTILINE)


class Meter:
    def __init__(self, plane):
        upstream = urlsplit(plane.server)
        self._upstream = (upstream.hostname, upstream.port)
        self._tls = ssl.create_default_context(cafile=plane.ca_file)
        self._lock = threading.Lock()
        self._requests, self._bytes = [], 0
        self._last = time.monotonic()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = "http://127.0.0.1:%d" % self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self):
        self._listener.close()

    def take(self):
        """What was asked since the last call, as "METHOD PATH" without watches, the watches that began, and the bytes of
        both directions."""
        with self._lock:
            asked = [(m, p) for m, p in self._requests if "watch=1" not in p]
            watches = [p for m, p in self._requests if "watch=1" in p]
            total = self._bytes
            self._requests, self._bytes = [], 0
        return [f"{m} {p.partition('?')[0]}" for m, p in asked], watches, total

    def quiet_for(self, seconds):
        """Whether nothing has been asked for so long."""
        with self._lock:
            return time.monotonic() - self._last > seconds

    def _accept(self):
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            try:
                server = self._tls.wrap_socket(socket.create_connection(self._upstream), server_hostname=self._upstream[0])
            except OSError:
                client.close()
                continue
            threading.Thread(target=self._pass_on, args=(client, server, True), daemon=True).start()
            threading.Thread(target=self._pass_on, args=(server, client, False), daemon=True).start()

    def _pass_on(self, source, sink, asks):
        try:
            while data := source.recv(65536):
                with self._lock:
                    self._bytes += len(data)
                    if asks:
                        found = [(m.decode(), p.decode()) for m, p in REQUEST.findall(data)]
                        self._requests += found
                        if found:
                            self._last = time.monotonic()
                sink.sendall(data)
        except OSError:
            pass
        for end in (source, sink):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
