"""TLS over a plain socket, so that its bytes keep their kernel stamps.

`ssl.SSLSocket` has no `recvmsg`. Here the socket stays plain: what is read from it goes into one memory BIO,
what is to be sent comes out of another, and the stamp of the read that completed a record belongs to the text
in it.
"""

from __future__ import annotations

import contextlib
import ssl
from pathlib import Path
from typing import Final

from load.errors import UsageError

RECORDS_BYTES: Final = 1 << 20


class Trust:
    """Whose certificates are believed."""

    def __init__(self) -> None:
        self._context: ssl.SSLContext | None = None

    def use(self, authority: Path | None, *, insecure: bool) -> None:
        """From now on. authority: a PEM file that alone counts, None for those of the system. insecure:
        anybody's. Raises UsageError for a file that holds no certificate."""
        try:
            context = ssl.create_default_context(cafile=authority)
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, FileNotFoundError) else "holds no certificate in PEM"
            raise UsageError(f"--tls-ca {authority}: {reason}") from error
        if authority is not None:
            # Newer Pythons ask of an authority what many private ones lack; all shall judge alike.
            context.verify_flags &= ~ssl.VERIFY_X509_STRICT
        if insecure:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        context.set_alpn_protocols(["http/1.1"])
        self._context = context

    @property
    def context(self) -> ssl.SSLContext:
        """Made at its first use: reading the system's authorities takes 20 ms."""
        if self._context is None:
            self.use(None, insecure=False)
        assert self._context is not None
        return self._context


TRUST: Final = Trust()
"""Of this process."""


class Tls:
    """One connection's. ended: the peer said that it will send no more. ready: text that came right behind
    the handshake."""

    __slots__ = ("_incoming", "_object", "_outgoing", "ended", "ready")

    def __init__(self, context: ssl.SSLContext, name: str) -> None:
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._object = context.wrap_bio(self._incoming, self._outgoing, server_hostname=name)
        self.ended = False
        self.ready = b""

    def shake(self, data: bytes) -> bool:
        """One step of the handshake with what has come; whether it is done. Raises ssl.SSLError."""
        self._incoming.write(data)
        try:
            self._object.do_handshake()
        except ssl.SSLWantReadError:
            return False
        self.ready = self.decrypt(b"")
        return True

    def outgoing(self) -> bytes:
        """What has to be sent for the handshake to go on."""
        return self._outgoing.read()

    def encrypt(self, text: bytes) -> bytes:
        """The records to be sent."""
        rest = memoryview(text)
        while rest:
            rest = rest[self._object.write(rest) :]
        return self._outgoing.read()

    def decrypt(self, data: bytes) -> bytes:
        """The text of all records that `data` completed. Raises ssl.SSLError for what is no TLS.

        An answer that a record asks for (RFC 8446 4.6.3) goes out with what is encrypted next.
        """
        self._incoming.write(data)
        texts = []
        with contextlib.suppress(ssl.SSLWantReadError):
            while text := self._object.read(RECORDS_BYTES):
                texts.append(text)
            self.ended = True
        return b"".join(texts)

    def farewell(self) -> bytes:
        """The alert before a FIN."""
        with contextlib.suppress(ssl.SSLError):  # it waits for an answer that nobody needs
            self._object.unwrap()
        return self._outgoing.read()
