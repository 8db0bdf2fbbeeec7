"""How we talk: bytes in, events out. Blocking sockets only; Locust makes them cooperative."""
