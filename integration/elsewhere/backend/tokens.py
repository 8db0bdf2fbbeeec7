"""Short-lived access tokens and refresh tokens, both JWT."""

from __future__ import annotations

import os
import time
from typing import Literal

import jwt

SECRET = os.environ.get("HELPDESK_SECRET", "a secret of the help desk, long enough")
LIFETIME_S = {"access": float(os.environ.get("HELPDESK_TOKEN_S", "300")), "refresh": 3600.0}
Use = Literal["access", "refresh"]


def issue(person: str, use: Use) -> str:
    return jwt.encode({"sub": person, "use": use, "exp": time.time() + LIFETIME_S[use]}, SECRET, "HS256")


def person_of(token: str, use: Use) -> str | None:
    """None for a token that is not good for that."""
    try:
        claims = jwt.decode(token, SECRET, ["HS256"])
    except jwt.PyJWTError:
        return None
    return str(claims["sub"]) if claims.get("use") == use else None
