"""A server on an event loop: each connection keeps a buffer while it lives, none afterwards."""
import asyncio


async def handle(reader, writer):
    data = await reader.read(100)
    answer = data * 300  #@ recycled
    writer.write(answer)
    await writer.drain()
    writer.close()


async def client(port):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"x" * 90)
    await writer.drain()
    while await reader.read(65536):
        pass
    writer.close()


async def main():
    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    for _ in range(200):
        await client(port)
    server.close()


asyncio.run(main())
