"""A certificate for this machine, made anew in each session of tests: P-256, signed by itself.

Neither a program nor a package for it can be taken for granted, and a key that is committed is no key. What
stands here is enough to be believed where it is named as an authority, and for nothing else.
"""

from __future__ import annotations

import base64
import hashlib
import secrets
import ssl
from pathlib import Path
from typing import Final

NAMES: Final = ("localhost", "target.example")
ADDRESSES: Final = (bytes([127, 0, 0, 1]), bytes(15) + b"\x01")

# P-256, FIPS 186-4 D.1.2.3
P: Final = 2**256 - 2**224 + 2**192 + 2**96 - 1
N: Final = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
G: Final = (
    0x6B17D1F2E12C4247F8BCE6E563A440F277037D812DEB33A0F4A13945D898C296,
    0x4FE342E2FE1A7F9B8EE7EB4A7C0F9E162BCE33576B315ECECBB6406837BF51F5,
)

EC_KEY, CURVE = bytes.fromhex("2a8648ce3d0201"), bytes.fromhex("2a8648ce3d030107")
ECDSA_SHA256, COMMON_NAME, ALT_NAME = (
    bytes.fromhex(number) for number in ("2a8648ce3d040302", "550403", "551d11")
)

INTEGER, BITS, OCTETS, OBJECT = 0x02, 0x03, 0x04, 0x06
UTF8, TIME, SEQUENCE, SET = 0x0C, 0x17, 0x30, 0x31

Point = tuple[int, int]


def make(folder: Path) -> Path:
    """A PEM file with the key and its certificate."""
    private = secrets.randbelow(N - 1) + 1
    public = b"\x04" + b"".join(part.to_bytes(32, "big") for part in times(private, G))
    algorithm = der(SEQUENCE, der(OBJECT, ECDSA_SHA256))
    name = der(SEQUENCE, der(SET, der(SEQUENCE, der(OBJECT, COMMON_NAME), der(UTF8, b"streamgauge tests"))))
    curve = der(OBJECT, CURVE)
    known_as = der(
        SEQUENCE,
        *(der(0x82, one.encode()) for one in NAMES),
        *(der(0x87, one) for one in ADDRESSES),
    )
    signed = der(
        SEQUENCE,
        der(0xA0, integer(2)),
        integer(secrets.randbits(63)),
        algorithm,
        name,
        der(SEQUENCE, der(TIME, b"200101000000Z"), der(TIME, b"491231235959Z")),
        name,
        der(SEQUENCE, der(SEQUENCE, der(OBJECT, EC_KEY), curve), der(BITS, b"\0", public)),
        der(0xA3, der(SEQUENCE, der(SEQUENCE, der(OBJECT, ALT_NAME), der(OCTETS, known_as)))),
    )
    certificate = der(SEQUENCE, signed, algorithm, der(BITS, b"\0", sign(private, signed)))
    key = der(
        SEQUENCE,
        integer(1),
        der(OCTETS, private.to_bytes(32, "big")),
        der(0xA0, curve),
        der(0xA1, der(BITS, b"\0", public)),
    )
    file = folder / "here.pem"
    file.write_text(pem("EC PRIVATE KEY", key) + pem("CERTIFICATE", certificate))
    return file


def serving(file: Path) -> ssl.SSLContext:
    """For a server with that certificate, which speaks HTTP/1.1 and HTTP/2."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    context.set_alpn_protocols(["h2", "http/1.1"])
    return context


def sign(private: int, message: bytes) -> bytes:
    """ECDSA with SHA-256."""
    digest = int.from_bytes(hashlib.sha256(message).digest(), "big")
    once = secrets.randbelow(N - 1) + 1
    r = times(once, G)[0] % N
    s = (digest + r * private) * pow(once, -1, N) % N
    return der(SEQUENCE, integer(r), integer(s))


def times(factor: int, point: Point) -> Point:
    """A multiple of a point of the curve."""
    total: Point | None = None
    while factor:
        if factor & 1:
            total = point if total is None else plus(total, point)
        point = plus(point, point)
        factor >>= 1
    assert total is not None
    return total


def plus(a: Point, b: Point) -> Point:
    """The sum of two points, never the neutral one."""
    if a == b:
        slope = 3 * (a[0] * a[0] - 1) * pow(2 * a[1], -1, P)
    else:
        slope = (b[1] - a[1]) * pow(b[0] - a[0], -1, P)
    x = (slope * slope - a[0] - b[0]) % P
    return x, (slope * (a[0] - x) - a[1]) % P


def der(tag: int, *parts: bytes) -> bytes:
    """One element of ASN.1."""
    content = b"".join(parts)
    size = len(content)
    if size < 0x80:
        return bytes([tag, size]) + content
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(length)]) + length + content


def integer(value: int) -> bytes:
    """A whole number, 0 or more."""
    return der(INTEGER, value.to_bytes(value.bit_length() // 8 + 1, "big"))


def pem(what: str, content: bytes) -> str:
    """As text."""
    text = base64.encodebytes(content).decode()
    return f"-----BEGIN {what}-----\n{text}-----END {what}-----\n"
