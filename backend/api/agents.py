"""Agents: browsing for everybody, changing for administrators."""

from __future__ import annotations

import math
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Depends, Request
from pydantic import Field
from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError
from starlette.responses import Response

from backend.api.answers import NO_CONTENT, not_found, reply
from backend.api.auth import Asking, admin_only, database_of
from backend.api.body import Schema, invalid, read_json, validate
from backend.api.pages import Number, number, page_size
from backend.domain.governance import Maturity
from backend.errors import ErrorCode, Finding, Problem
from backend.storage import audit
from backend.storage.agents import Agent, AgentDraft, add_agent, change_state, get_agent, list_agents
from backend.storage.models import AgentState
from backend.storage.users import Viewer
from backend.telemetry import wire_time

router = APIRouter()

MAX_CONFIGURATION_BYTES = 16 * 1024
# A page deeper than this costs more than anybody reads.
MAX_PAGE_DEPTH = 10_000


class EmbeddedSettings(Schema):
    """The paces of the embedded provider."""

    tokens: Annotated[int | None, Field(ge=0, le=4096)] = None
    first_token_ms: Annotated[int | None, Field(ge=0, le=60_000)] = None
    interval_ms: Annotated[int | None, Field(ge=0, le=5000)] = None
    seed: Annotated[int | None, Field(ge=0)] = None


class NewAgent(Schema):
    name: Annotated[str, Field(min_length=1, max_length=120, pattern=r"\S")]
    description: Annotated[str, Field(max_length=2000)] = ""
    category: Annotated[str, Field(min_length=1, max_length=60)] = "general"
    maturity_level: Annotated[Maturity, Field(strict=False)] = Maturity.STUDENT
    system_prompt: Annotated[str, Field(max_length=8000)] = ""
    model: Annotated[str, Field(min_length=1, max_length=200)] = "embedded/markov-1"
    configuration: dict[str, Any] = Field(default_factory=dict)


@router.get("/api/agents")
async def browse(
    request: Request,
    viewer: Asking,
    page: Number = None,
    limit: Number = None,
    state: AgentState | None = None,
    maturity: Maturity | None = None,
) -> Response:
    size = page_size(limit)
    page_number = number("page", page, 1, 1, MAX_PAGE_DEPTH // size)
    agents, total = await database_of(request).read(
        lambda connection: list_agents(
            viewer,
            connection,
            state=state,
            maturity=maturity,
            offset=(page_number - 1) * size,
            limit=size,
        )
    )
    return reply(
        {
            "agents": [_summary(agent) for agent in agents],
            "total": total,
            "page": page_number,
            "limit": size,
            "pages": math.ceil(total / size),
        }
    )


@router.get("/api/agents/{agent_id}")
async def show(request: Request, viewer: Asking, agent_id: str) -> Response:
    return reply(_view(await visible_agent(request, viewer, agent_id)))


@router.post("/api/agents")
async def create(
    request: Request, viewer: Annotated[Viewer, Depends(admin_only("agent.create"))]
) -> Response:
    new = await read_json(request, NewAgent)
    _check_configuration(new.configuration)
    draft = AgentDraft(
        new.name,
        new.description,
        new.category,
        new.maturity_level,
        new.system_prompt,
        new.model,
        new.configuration,
    )

    def add(connection: Connection) -> Agent:
        agent = add_agent(connection, viewer.user_id, draft)
        _record(connection, viewer, "agent.create", agent.id, maturity=agent.maturity_level)
        return agent

    try:
        agent = await database_of(request).write(add)
    except IntegrityError:
        raise Problem(ErrorCode.CONFLICT, "An agent of this name is in use") from None  # D11
    return reply(_view(agent), 201, {"Location": f"/api/agents/{agent.id}"})


@router.post("/api/agents/{agent_id}/pause")
async def pause(
    request: Request, agent_id: str, viewer: Annotated[Viewer, Depends(admin_only("agent.pause"))]
) -> Response:
    agent = await _move(request, viewer, agent_id, "agent.pause", AgentState.PAUSED, (AgentState.ACTIVE,))
    return reply(_view(agent))


@router.post("/api/agents/{agent_id}/resume")
async def resume(
    request: Request, agent_id: str, viewer: Annotated[Viewer, Depends(admin_only("agent.resume"))]
) -> Response:
    agent = await _move(request, viewer, agent_id, "agent.resume", AgentState.ACTIVE, (AgentState.PAUSED,))
    return reply(_view(agent))


@router.delete("/api/agents/{agent_id}")
async def archive(
    request: Request, agent_id: str, viewer: Annotated[Viewer, Depends(admin_only("agent.archive"))]
) -> Response:
    """Active runs finish; new ones do not find the agent."""
    in_use = (AgentState.ACTIVE, AgentState.PAUSED)
    await _move(request, viewer, agent_id, "agent.archive", AgentState.ARCHIVED, in_use)
    return Response(status_code=NO_CONTENT)


async def visible_agent(request: Request, viewer: Viewer, agent_id: str) -> Agent:
    agent = await database_of(request).read(lambda connection: get_agent(viewer, connection, agent_id))
    if agent is None:
        raise not_found()
    return agent


async def _move(
    request: Request,
    viewer: Viewer,
    agent_id: str,
    action: str,
    to: AgentState,
    from_states: tuple[AgentState, ...],
) -> Agent:
    before = await visible_agent(request, viewer, agent_id)

    def move(connection: Connection) -> Agent:
        agent = change_state(connection, agent_id, to=to, from_states=from_states)
        if agent is None:
            raise Problem(ErrorCode.CONFLICT, f"The agent is {before.state}")
        _record(connection, viewer, action, agent_id)
        return agent

    return await database_of(request).write(move)


def _record(connection: Connection, viewer: Viewer, action: str, agent_id: str, **detail: object) -> None:
    audit.record(
        connection,
        actor_id=viewer.user_id,
        action=action,
        object_type="agent",
        object_id=agent_id,
        allowed=True,
        **detail,
    )


def _check_configuration(configuration: dict[str, Any]) -> None:
    if len(orjson.dumps(configuration)) > MAX_CONFIGURATION_BYTES:
        raise invalid("/configuration", "too_long", f"Must not exceed {MAX_CONFIGURATION_BYTES} bytes")
    if "embedded" in configuration:
        try:
            validate(EmbeddedSettings, configuration["embedded"])
        except Problem as problem:
            found = [
                Finding(f"/configuration/embedded{one.pointer}", one.code, one.message)
                for one in problem.errors
            ]
            raise Problem(ErrorCode.INVALID_REQUEST, errors=found) from None


def _summary(agent: Agent) -> dict[str, object]:
    return {
        "id": agent.id,
        "name": agent.name,
        "description": agent.description,
        "category": agent.category,
        "maturity_level": agent.maturity_level,
        "state": agent.state,
        "confidence_bp": agent.confidence_bp,
        "model": agent.model,
        "created_at": wire_time(agent.created_at),
    }


def _view(agent: Agent) -> dict[str, object]:
    return _summary(agent) | {
        "completed_since_change": agent.completed_since_change,
        "system_prompt": agent.system_prompt,
        "configuration": agent.configuration,
        "created_by": agent.created_by,
        "row_version": agent.row_version,
        "updated_at": wire_time(agent.updated_at),
    }
