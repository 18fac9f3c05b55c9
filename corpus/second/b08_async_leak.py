"""A server on an event loop that remembers every request in an attribute of the server object."""
import asyncio


class Server:
    def __init__(self):
        self.seen = []

    async def handle(self, reader, writer):
        data = await reader.read(100)
        self.seen.append(data * 40)  #@ leaking
        writer.write(b"ok")
        await writer.drain()
        writer.close()


async def client(port):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"x" * 90)
    await writer.drain()
    await reader.read()
    writer.close()


SERVER = Server()


async def main():
    server = await asyncio.start_server(SERVER.handle, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    for _ in range(250):
        await client(port)
    server.close()


asyncio.run(main())
