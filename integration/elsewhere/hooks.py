"""How a visitor of the help desk logs in, and stays so."""

import json
import urllib.request


def login(url, user, former):
    path, body = ("/auth/login", {"name": user["name"], "password": user["password"]})
    if former is not None:
        path, body = ("/auth/refresh", {"refresh": former["refresh"]})
    headers = {"content-type": "application/json"}
    request = urllib.request.Request(url + path, json.dumps(body).encode(), headers)
    with urllib.request.urlopen(request, timeout=10) as response:
        given = json.load(response)
    return {"token": given["access"], "expires_in_s": given["seconds"], "refresh": given["refresh"]}
