"""Agents: what a chat is held with. Archived ones exist for administrators only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, bindparam, func, insert, select, true, update

from backend.domain.governance import Maturity
from backend.storage.ids import is_id, new_id
from backend.storage.models import AgentRegistry, AgentState
from backend.storage.users import Viewer
from backend.telemetry import utc_now

__all__ = ["Agent", "AgentDraft", "add_agent", "change_state", "get_agent", "list_agents"]

# Where trust starts, in basis points, by the level an agent is created with.
_STARTING_CONFIDENCE: Mapping[Maturity, int] = {
    Maturity.STUDENT: 4000,
    Maturity.INTERN: 5500,
    Maturity.SUPERVISED: 7500,
    Maturity.AUTONOMOUS: 9500,
}


@dataclass(frozen=True, slots=True)
class AgentDraft:
    """What an administrator decides about a new agent."""

    name: str
    description: str
    category: str
    maturity_level: Maturity
    system_prompt: str
    model: str
    configuration: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Agent:
    id: str
    name: str
    description: str
    category: str
    maturity_level: str
    state: str
    confidence_bp: int
    completed_since_change: int
    system_prompt: str
    model: str
    configuration: Mapping[str, Any]
    created_by: str
    row_version: int
    created_at: datetime
    updated_at: datetime


_COLUMNS = [getattr(AgentRegistry, name) for name in Agent.__slots__]
_SELECT = select(*_COLUMNS)
_GET = _SELECT.where(AgentRegistry.id == bindparam("of"))  # built once: building costs as much as running


def _visible(is_admin: bool) -> ColumnElement[bool]:
    return true() if is_admin else AgentRegistry.state != AgentState.ARCHIVED


def add_agent(connection: Connection, creator_id: str, draft: AgentDraft) -> Agent:
    """Adds an agent; `IntegrityError` if one that is not archived has this name."""
    now = utc_now()
    agent = Agent(
        id=new_id("agt"),
        name=draft.name,
        description=draft.description,
        category=draft.category,
        maturity_level=draft.maturity_level.value,
        state=AgentState.ACTIVE.value,
        confidence_bp=_STARTING_CONFIDENCE[draft.maturity_level],
        completed_since_change=0,
        system_prompt=draft.system_prompt,
        model=draft.model,
        configuration=draft.configuration,
        created_by=creator_id,
        row_version=1,
        created_at=now,
        updated_at=now,
    )
    connection.execute(insert(AgentRegistry).values({name: getattr(agent, name) for name in Agent.__slots__}))
    return agent


def get_agent(viewer: Viewer, connection: Connection, agent_id: str) -> Agent | None:
    if not is_id(agent_id, "agt"):
        return None
    row = connection.execute(_GET, {"of": agent_id}).first()
    if row is None or (row.state == AgentState.ARCHIVED and not viewer.is_admin):
        return None
    return Agent(*row)


def list_agents(
    viewer: Viewer,
    connection: Connection,
    *,
    state: AgentState | None,
    maturity: Maturity | None,
    offset: int,
    limit: int,
) -> tuple[list[Agent], int]:
    """One page, newest first, and how many there are on all pages."""
    count, page = _listing(viewer.is_admin, state, maturity)
    total = connection.execute(count).scalar_one()
    rows = connection.execute(page, {"offset": offset, "limit": limit})
    return [Agent(*row) for row in rows], total


@cache  # three questions with a few answers each: building the queries costs as much as running them
def _listing(
    is_admin: bool, state: AgentState | None, maturity: Maturity | None
) -> tuple[Select[int], Select[*tuple[Any, ...]]]:
    """How many agents there are, and a page of them."""
    wanted = [_visible(is_admin)]
    if state is not None:
        wanted.append(AgentRegistry.state == state)
    if maturity is not None:
        wanted.append(AgentRegistry.maturity_level == maturity)
    page = (
        _SELECT.where(*wanted)
        .order_by(AgentRegistry.created_at.desc(), AgentRegistry.id.desc())
        .offset(bindparam("offset"))
        .limit(bindparam("limit"))
    )
    return select(func.count()).select_from(AgentRegistry).where(*wanted), page


def change_state(
    connection: Connection, agent_id: str, *, to: AgentState, from_states: tuple[AgentState, ...]
) -> Agent | None:
    """Moves an agent to another state; None if it is not in one of those it may come from, or not there."""
    query = (
        update(AgentRegistry)
        .where(AgentRegistry.id == agent_id, AgentRegistry.state.in_(from_states))
        .values(state=to, row_version=AgentRegistry.row_version + 1, updated_at=utc_now())
        .returning(*_COLUMNS)
    )
    row = connection.execute(query).first()
    return None if row is None else Agent(*row)
