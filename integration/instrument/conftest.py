"""Servers that are no script."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest

from integration.instrument import certificates
from load.drivers.tls import TRUST


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with a key and the certificate of it, for this machine."""
    return certificates.make(tmp_path_factory.mktemp("certificate"))


@pytest.fixture
def believed(certificate: Path) -> Iterator[ssl.SSLContext]:
    """For a server whose certificate this process believes meanwhile."""
    TRUST.use(certificate, insecure=False)
    yield certificates.serving(certificate)
    TRUST.use(None, insecure=False)


@pytest.fixture
def full() -> Iterator[str]:
    """The address of a listener whose queue is full: a further connect gets no answer."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        waiting = []
        for _ in range(4):
            one = socket.socket()
            one.setblocking(False)
            one.connect_ex(listener.getsockname())
            waiting.append(one)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        for one in waiting:
            one.close()
