"""Ordinary users: streams over a WebSocket and over SSE, and conversations over HTTP with a look around."""

from __future__ import annotations

from locust import task

from load.scenarios.base import AgentUser
from load.scenarios.expect import DONE


class ChatWs(AgentUser):
    """Sends one message after another over a connection that stays open, and follows each answer."""

    scenario = "chat_ws"
    weight = 50

    @task
    def message(self) -> None:
        """One message of the prompts, streamed."""
        conversation = self.prompts.next()
        self.stream(self.websocket("steady"), self.turn(conversation.turns[0]), DONE)


class ChatSse(AgentUser):
    """The same over server-sent events: a request for each message."""

    scenario = "chat_sse"
    weight = 20

    @task
    def message(self) -> None:
        """One message of the prompts, streamed."""
        conversation = self.prompts.next()
        self.stream(self.sse("steady"), self.turn(conversation.turns[0]), DONE)


class ChatHttp(AgentUser):
    """Holds whole conversations, rates the last answer, and looks at the agents in between."""

    scenario = "chat_http"
    weight = 20

    @task
    def conversation(self) -> None:
        """The next message of the conversation; after its last, a rating or a look at the agents."""
        if not self._left:
            self._left = list(self.prompts.next().turns)
            self._session_id = f"load-{self.number}-{self.random.getrandbits(48):012x}"
        turn = self.turn(self._left.pop(0), self._session_id)
        answer = self.stream(self.http("steady"), turn, DONE)
        if self._left:
            return
        if self.random.random() < 0.5 and answer.execution_id is not None:
            self.rate(answer.execution_id)
        else:
            self.browse()

    def rate(self, execution_id: str) -> None:
        """Feedback on an answer."""
        rating = self.random.randint(1, 10)
        body = {"execution_id": execution_id, "feedback_type": "rating", "rating": rating}
        self.call("POST", f"/api/agents/{self.agent('steady')}/feedback", body, scenario="feedback")

    def browse(self) -> None:
        """The first pages of the list, then one agent."""
        page = self.random.randint(1, 2)
        self.call("GET", f"/api/agents?page={page}&limit=5", scenario="browse_agents")
        self.call("GET", f"/api/agents/{self.agent('steady')}", scenario="browse_agents")

    _left: list[str]
    _session_id: str

    def on_start(self) -> None:
        self._left = []
        self._session_id = ""
