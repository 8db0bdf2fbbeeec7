"""Streamgauge's front door: who comes to the load run.

    locust -f locustfile.py                         web UI; our options stand in its start form
    locust -f locustfile.py --headless              50 users for 30 s, verdict, exit code
    locust -f locustfile.py --headless --scenario chat_ws --seed 7

The bundled backend is started under coverage on a free port. `--host URL` measures a server that already
runs; what the options mean and what each exit code says stands in README.md.

To measure with users of your own, copy one of `load/scenarios/chat.py` into this file or import it here:
a class, a weight, a task, an expectation.
"""

from load.plugin import install
from load.scenarios.chat import ChatHttp, ChatSse, ChatWs
from load.scenarios.failures import Failures

__all__ = ["ChatHttp", "ChatSse", "ChatWs", "Failures"]

install()
