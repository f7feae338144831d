"""The demo's MQTT broker, so that a first look needs no server: amqtt, which speaks MQTT 3.1.1."""

import asyncio
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event, Thread

from edge.errors import ConfigError, EdgeXrayError


@contextmanager
def broker() -> Iterator[int]:
    """An MQTT 3.1.1 broker in a thread, on a free port of the loopback interface."""
    try:
        from amqtt.broker import Broker  # noqa: PLC0415 - only the demo needs it
    except ModuleNotFoundError as error:
        raise ConfigError("the demo's broker is not installed; pip install 'edge-xray[demo]'") from error
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
    config = {
        "listeners": {"default": {"type": "tcp", "bind": f"127.0.0.1:{port}"}},
        "plugins": {"amqtt.plugins.authentication.AnonymousAuthPlugin": {"allow_anonymous": True}},
    }
    ready, problems = Event(), list[BaseException]()
    loop, stop = asyncio.new_event_loop(), asyncio.Event()

    async def serve() -> None:
        broker = Broker(config)
        await broker.start()
        ready.set()
        await stop.wait()
        await broker.shutdown()

    def work() -> None:
        try:
            loop.run_until_complete(serve())
        except BaseException as error:  # noqa: BLE001 - handed to the thread that waits
            problems.append(error)
        finally:
            ready.set()

    thread = Thread(target=work, name="broker", daemon=True)
    thread.start()
    ready.wait()
    if problems:
        raise EdgeXrayError(f"the demo's broker did not start: {problems[0]}")
    try:
        yield port
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(timeout=5)
