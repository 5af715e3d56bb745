"""A bare Tornado page for `supervision.py` to keep alive. Knows nothing of eomd.

python page.py --port 8080 | --descriptor 5  [--heartbeat PORT]
"""

from __future__ import annotations

import argparse
import asyncio
import os
import socket
import time

from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets
from tornado.web import Application, RequestHandler

HEARTBEAT_S = 0.5


class Page(RequestHandler):
    def get(self) -> None:
        self.write("here\n")


async def serve(options: argparse.Namespace) -> None:
    given = options.descriptor
    sockets = bind_sockets(options.port, "127.0.0.1") if given is None else [socket.socket(fileno=given)]
    HTTPServer(Application([("/", Page)])).add_sockets(sockets)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        while True:
            if options.heartbeat:
                sender.sendto(f"{os.getpid()};{time.time()}".encode(), ("127.0.0.1", options.heartbeat))
            await asyncio.sleep(HEARTBEAT_S)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int)
    parser.add_argument("--descriptor", type=int)
    parser.add_argument("--heartbeat", type=int, default=0)
    asyncio.run(serve(parser.parse_args()))


if __name__ == "__main__":
    main()
