"""The server: it listens, prints its address, and ends with everything removed."""

import secrets
import signal
import socket
import sys
import threading
import webbrowser
from collections.abc import Sequence
from dataclasses import dataclass

import uvicorn

from einthoven.web.app import Limits, make_app, start_service
from einthoven.web.guard import LOCAL, Policy, check_token, is_local

MOST_CONNECTIONS = 100


@dataclass(frozen=True)
class Listening:
    """Where a server listens, and to whom.

    Attributes:
        host: Address to listen on.
        port: Port; 0: any that is free.
        token: What visitors have to know; None: nothing on this machine alone, else one that nobody can guess.
        names: Further names by which the server may be called.
    """

    host: str = "127.0.0.1"
    port: int = 8700
    token: str | None = None
    names: Sequence[str] = ()


def run_server(listening: Listening, limits: Limits, *, open_browser: bool = False) -> None:
    """Serves the page until the process is asked to end.

    Raises:
        ValueError: If the address cannot be listened on, or the token could be guessed.
    """
    token = listening.token
    if token is not None:
        check_token(token)
    elif not is_local(listening.host):
        token = secrets.token_urlsafe(24)
    with _listen(listening) as listener:
        policy = Policy(_names(listening), token, limits.max_upload)
        service = start_service(limits)
        try:
            config = uvicorn.Config(
                make_app(service, policy),
                access_log=False,
                log_level="warning",
                server_header=False,
                ws="none",
                limit_concurrency=MOST_CONNECTIONS,
                timeout_keep_alive=15,
                timeout_graceful_shutdown=3,
            )
            server = uvicorn.Server(config)
            if hasattr(signal, "SIGHUP") and threading.current_thread() is threading.main_thread():
                signal.signal(signal.SIGHUP, server.handle_exit)  # the terminal was closed
            address = _address(listening.host, listener.getsockname()[1], token)
            sys.stdout.write(f"Einthoven is at {address}\nResearch only, not for diagnosis. Ctrl-C ends it.\n")
            sys.stdout.flush()
            if open_browser:
                threading.Thread(target=webbrowser.open, args=(address,), daemon=True).start()
            server.run(sockets=[listener])
        finally:
            service.close()


def _listen(listening: Listening) -> socket.socket:
    family = socket.AF_INET6 if ":" in listening.host else socket.AF_INET
    try:
        return socket.create_server((listening.host, listening.port), family=family)
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise ValueError(
            f"host={listening.host} port={listening.port}: cannot listen there ({reason}); take another port="
        ) from error


def _names(listening: Listening) -> list[str]:
    """Lists the names by which the server may be called; "*": any address in numbers."""
    names = [name.lower() for name in (listening.host, *listening.names, *LOCAL)]
    if listening.host in ("0.0.0.0", "::"):
        names += ["*", socket.gethostname().lower()]
    return names


def _address(host: str, port: int, token: str | None) -> str:
    name = {"0.0.0.0": socket.gethostname(), "::": socket.gethostname()}.get(host, host)
    named = f"[{name}]" if ":" in name else name
    return f"http://{named}:{port}/" + (f"?token={token}" if token else "")
