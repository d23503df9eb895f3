"""A TCP server for one port of many processes: one of them serves it, the others stand by to take it over.

Whether a port that is taken is taken by this program, the arena tells. Who stands by tries to bind again and again: the
kernel frees the port when its process ends, however it ends, and gives it to one.
"""

from __future__ import annotations

import errno
import os
import socket
import threading
from contextlib import suppress
from logging import getLogger
from socketserver import TCPServer
from time import monotonic
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from socketserver import BaseRequestHandler

    from pyrometer._core.arena_cy import Arena

# Seconds between two attempts to take a port over; also the longest that closing without `shutdown` goes unnoticed.
_RETRY = 0.5
# Seconds for a process that has just bound a port to say so, and for one that is ending to let go of it.
_TELLING = 0.5
# Attempts that must fail, with nobody of the program serving, before it is said that a stranger has the port.
_PATIENCE = 3

_servers: list[StandbyServer] = []
# Held while a socket is made and bound, and by forks: a child is to know every socket that it inherits. Of the thread
# that forks and its signal handlers it may be held twice.
_binding = threading.RLock()


class StandbyServer(TCPServer):
    """Binds `address`, or stands by while another process of this program serves its port (never for port 0).

    `thread`, a daemon that the caller starts, waits for the port if need be and serves it. It does not survive a fork;
    there the inherited socket is closed, so that it does not keep the port busy after its process has ended.

    Raises OSError when the port cannot be bound and nobody of this program serves it.
    """

    # A port that was just closed is free at once; one that is in use is not.
    allow_reuse_address = True
    request_queue_size = 128
    timeout = _RETRY

    def __init__(self, family: int, address: Any, handler: type[BaseRequestHandler]) -> None:
        _close_inherited()
        self.address_family = family
        self.server_port: int = address[1]
        self._announced = self.server_port != 0
        self._owner = os.getpid()
        self._bound = False
        self._ended = threading.Event()
        self._failures = 0
        super().__init__(address, handler, bind_and_activate=False)
        self.socket.close()
        self.thread = threading.Thread(target=self.serve_forever, name="pyrometer-http", daemon=True)
        _servers.append(self)
        try:
            self._bind_or_stand_by()
        except BaseException:
            self.server_close()
            raise

    def serve_forever(self, poll_interval: float = _RETRY) -> None:
        """Wait for the port where it is another's, then serve it, until `shutdown` or `server_close`."""
        self.timeout = poll_interval
        try:
            while not self._ended.is_set():
                if self._bound:
                    self.handle_request()
                elif not self._ended.wait(_RETRY):
                    self._take_over()
        except ValueError:
            # A socket that was closed cannot be waited for. Anything else is an error.
            if self.socket.fileno() >= 0:
                raise
        finally:
            self._let_go()

    def shutdown(self) -> None:
        """Stop serving or standing by, and wait for the thread that does. In a fork of its process it does nothing."""
        if self._owner == os.getpid():
            self._ended.set()
            # Ends the thread's wait for a connection.
            with suppress(OSError):
                self.socket.shutdown(socket.SHUT_RDWR)
            self.thread.join()

    def server_close(self) -> None:
        """Free the port, stop serving or standing by. In a fork, this closes the fork's copy of the socket alone."""
        if self._owner != os.getpid():
            self._abandon()
            return
        self._ended.set()
        self._let_go()
        with suppress(ValueError):
            _servers.remove(self)

    def _bind_or_stand_by(self) -> None:
        if self._announced:
            # Attached first: what is done between binding and saying so is to be short.
            _arena()
        deadline = monotonic() + _TELLING
        while True:
            try:
                self._bind()
                return
            except OSError as error:
                if error.errno != errno.EADDRINUSE or not self._announced:
                    raise
                if _arena().serving(self.server_port):
                    return
                if monotonic() > deadline:
                    raise
            self._ended.wait(_TELLING / 10)

    def _bind(self) -> None:
        """Each time with a new socket: where two processes bind at once, one of them fails to listen, for good."""
        with _binding:
            self.socket = socket.socket(self.address_family, self.socket_type)
            try:
                self.server_bind()
                self.server_activate()
            except BaseException:
                self.socket.close()
                raise
            self.server_port = self.socket.getsockname()[1]
            self._bound = True
        if self._announced:
            _announce()

    def _take_over(self) -> None:
        """One attempt. It is said once when it fails for another reason than that the program serves the port."""
        try:
            self._bind()
        except OSError as error:
            if error.errno == errno.EADDRINUSE and _arena().serving(self.server_port):
                self._failures = 0
                return
            self._failures += 1
            if self._failures == _PATIENCE:
                getLogger("pyrometer").warning(
                    "no process of this program serves metrics on port %d any more, and this one cannot either: %s; "
                    "it keeps trying",
                    self.server_port,
                    error.strerror,
                )
        else:
            getLogger("pyrometer").info("this process now serves metrics on port %d", self.server_port)

    def _let_go(self) -> None:
        self.socket.close()
        if self._bound:
            self._bound = False
            if self._announced and self._owner == os.getpid():
                _announce()

    def _abandon(self) -> None:
        """In a fork. The event is a new one because a thread that is no more may have held the lock of the old."""
        self._ended = threading.Event()
        self._ended.set()
        self._bound = False
        self.socket.close()


def _close_inherited() -> None:
    """Close the sockets of servers that belong to the process this one was forked from.

    Forks by `os.fork` do it at once; those made by a program in C (uWSGI) when they start a server of their own.
    """
    global _binding
    here = os.getpid()
    inherited = [server for server in _servers if server._owner != here]
    for server in inherited:
        server._abandon()
        _servers.remove(server)
    if inherited:
        # The old one may be held for ever, by a thread that is no more.
        _binding = threading.RLock()


def _arena() -> Arena:
    """Imported when a port is to be shared: a server on port 0 has nobody to tell."""
    from pyrometer._arenas import program_arena

    return program_arena()


def _announce() -> None:
    """Say in the arena which port this process serves: of several, the one bound last."""
    arena = _arena()
    with _binding:
        ports = [server.server_port for server in _servers if server._bound and server._announced]
        arena.serve(ports)


def _before_fork() -> None:
    _binding.acquire()


def _after_fork() -> None:
    _binding.release()


def _in_child() -> None:
    _binding.release()
    _close_inherited()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_parent=_after_fork, after_in_child=_in_child)
