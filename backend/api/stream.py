"""The WebSocket of an agent: `/api/agents/{id}/stream`."""

from __future__ import annotations

from typing import Final

from fastapi import APIRouter
from starlette.websockets import WebSocket

from backend import telemetry
from backend.api.answers import problem_response
from backend.api.auth import authenticate
from backend.api.connection import Connection
from backend.api.handshake import Offer, read_offer
from backend.api.member import Member
from backend.api.socket import Socket
from backend.errors import ErrorCode, Problem
from backend.runs.manager import Runs
from backend.storage.ids import new_id
from backend.storage.users import Viewer

router = APIRouter()
log = telemetry.logger(__name__)

ACTION: Final = "stream_chat"


@router.websocket("/api/agents/{agent_id}/stream")
async def stream(websocket: WebSocket, agent_id: str) -> None:
    runs: Runs = websocket.app.state.runs
    try:
        offer, viewer = await _admitted(websocket, runs, agent_id)
    except Problem as problem:
        await _refuse(websocket, problem)
        return
    try:
        try:
            await websocket.accept(offer.subprotocol)
        except OSError:
            log.debug("client_gone")
            return
        telemetry.ws_handshakes_total.labels("accepted").inc()
        connection_id = new_id("con")
        with telemetry.bind(connection_id=connection_id, user_id=viewer.user_id):
            member = Member(
                runs,
                websocket.app.state.database,
                viewer,
                agent_id,
                connection_id,
                offer.speaks_v1,
            )
            await Connection(Socket(websocket, runs.settings.send_timeout), member).serve()
    finally:
        runs.connections.give_back(viewer.user_id)


@router.get("/api/agents/{agent_id}/stream")
async def plain(agent_id: str) -> None:
    raise Problem(ErrorCode.UPGRADE_REQUIRED, headers={"Upgrade": "websocket"})  # H11


@router.websocket("/{path:path}")
async def unknown(websocket: WebSocket, path: str) -> None:
    await _refuse(websocket, Problem(ErrorCode.NOT_FOUND))  # H15


async def _admitted(websocket: WebSocket, runs: Runs, agent_id: str) -> tuple[Offer, Viewer]:
    """The checks of a handshake in their order; counts the connection in."""
    runs.refuse_if_draining()
    offer = read_offer(websocket, runs.settings.allowed_origins)
    viewer = await authenticate(websocket.app.state.database, offer.token)
    await runs.check_agent(agent_id, viewer.user_id, ACTION)
    runs.connections.admit(viewer.user_id)
    return offer, viewer


async def _refuse(websocket: WebSocket, problem: Problem) -> None:
    """Before accept, as an HTTP answer: a close would become a bare 403 whatever was meant."""
    telemetry.ws_handshakes_total.labels(problem.code.value).inc()
    log.info("handshake_refused", extra={"code": problem.code.value})
    try:
        await websocket.send_denial_response(problem_response(problem))
    except OSError:
        log.debug("client_gone")
