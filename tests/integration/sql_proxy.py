"""A TCP proxy in front of a MySQL server that loses a COMMIT when told to."""

import asyncio
import contextlib

COMMIT = b"\x03COMMIT"
PING = b"UPDATE eom_meta SET value = value"


class SqlProxy:
    """Forwards connections until it is told to lose the next COMMIT.

    lose = "answer": the server commits and nobody hears of it; "question": the server never hears of it.
    A ping's COMMIT is not meant: one may be under way at any moment.
    """

    def __init__(self, port):
        self._upstream = port
        self.lose = None
        #: lose only a COMMIT right behind a statement that holds this
        self.behind = b""
        self.lost = 0
        #: refuse connections from the loss on
        self.stay_away = False
        self._server = None
        self._writers = set()

    async def start(self):
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def stop(self):
        self._server.close()
        for writer in list(self._writers):
            writer.transport.abort()

    async def _serve(self, reader, writer):
        if self.stay_away and self.lost:
            writer.transport.abort()
            return
        try:
            server_reader, server_writer = await asyncio.open_connection("127.0.0.1", self._upstream)
        except OSError:
            writer.transport.abort()
            return
        pair = {writer, server_writer}
        self._writers |= pair
        back = asyncio.create_task(self._pump(server_reader, writer))
        with contextlib.suppress(OSError):
            await self._forward(reader, server_reader, server_writer, back)
        for each in pair:
            each.transport.abort()
        # it may have met the end of either connection: nobody else asks what became of it
        back.cancel()
        await asyncio.gather(back, return_exceptions=True)
        self._writers -= pair

    async def _forward(self, reader, server_reader, server_writer, back):
        before = b""
        while data := await reader.read(65536):
            if self.lose and COMMIT in data and PING not in before and self.behind in before:
                losing, self.lose = self.lose, None
                self.lost += 1
                if losing == "answer":
                    back.cancel()
                    await asyncio.gather(back, return_exceptions=True)
                    server_writer.write(data)
                    await server_reader.read(1)
                return
            server_writer.write(data)
            await server_writer.drain()
            before = data

    async def _pump(self, reader, writer):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
        writer.transport.abort()
