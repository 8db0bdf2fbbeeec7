"""The ORM models: what they hold, and each constraint of theirs broken on purpose."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from sqlalchemy import CheckConstraint, ForeignKeyConstraint, UniqueConstraint, inspect, select, text
from sqlalchemy.exc import IntegrityError, StatementError
from sqlalchemy.orm import Session

from backend.storage.ids import is_id, new_id
from backend.storage.models import (
    AgentExecution,
    AgentFeedback,
    AgentRegistry,
    ApiToken,
    AuditLog,
    Base,
    ChatMessage,
    ChatSession,
    RunAttempt,
    RunStatus,
    User,
)
from integration.factories import (
    AgentExecutionFactory,
    AgentFactory,
    AgentFeedbackFactory,
    TokenFactory,
    UserFactory,
    bind,
)

NOW = datetime(2026, 1, 2, 3, 4, 5, 678_901, tzinfo=UTC)


@pytest.fixture(autouse=True)
def stored(db: Session) -> Iterator[Session]:
    """The factories store into the test's own database."""
    bind(db)
    yield db
    db.rollback()
    bind(None)


def chat_session(**more: Any) -> ChatSession:
    values = {"id": new_id("ses"), "external_key": "key", "created_at": NOW} | more
    values.setdefault("user_id", UserFactory.create_sync().id)
    values.setdefault("agent_id", AgentFactory.create_sync().id)
    return ChatSession(**values)


def message(session: ChatSession, **more: Any) -> ChatMessage:
    values = {"id": new_id("msg"), "author": "user", "content": "Hi", "seq": 1, "created_at": NOW}
    return ChatMessage(**({"session_id": session.id} | values | more))


def attempt(**more: Any) -> RunAttempt:
    values = {
        "attempt": 1,
        "provider": "p",
        "model": "m",
        "outcome": "ok",
        "duration_ms": 1,
        "started_at": NOW,
    }
    values |= more
    values.setdefault("execution_id", AgentExecutionFactory.create_sync().id)
    return RunAttempt(**values)


def audit(**more: Any) -> AuditLog:
    values = {"id": new_id("aud"), "action": "a", "object_type": "t", "decision": "denied", "created_at": NOW}
    return AuditLog(**(values | more))


def refused(db: Session, row: Base, constraint: str) -> None:
    """Storing it breaks this constraint and no other; the session can go on."""
    db.add(row)
    with pytest.raises(IntegrityError, match=constraint):
        db.commit()
    db.rollback()


def test_every_factory_stores_a_row_that_reads_back(db: Session) -> None:
    """What a factory makes satisfies every constraint."""
    feedback = AgentFeedbackFactory.create_sync()
    TokenFactory.create_sync(user_id=UserFactory.create_sync().id)

    db.expire_all()
    assert db.get(AgentFeedback, feedback.id) is not None
    assert db.get(AgentExecution, feedback.execution_id) is not None
    assert len(db.scalars(select(ApiToken)).all()) == 1


def test_defaults_of_an_agent(db: Session) -> None:
    """What a new agent does not say is a default of the model."""
    row = AgentRegistry(
        id=new_id("agt"), name="bare", maturity_level="STUDENT", confidence_bp=4000, model="m",
        created_by=UserFactory.create_sync().id, created_at=NOW, updated_at=NOW,
    )  # fmt: skip
    db.add(row)
    db.commit()

    assert (row.state, row.description, row.category) == ("ACTIVE", "", "general")
    assert (row.completed_since_change, row.row_version, row.configuration) == (0, 1, {})


def test_defaults_of_an_execution(db: Session) -> None:
    """A new run is queued, cancelled with its client, and has produced nothing."""
    agent = AgentFactory.create_sync()
    row = AgentExecution(
        id=new_id("exe"), agent_id=agent.id, user_id=agent.created_by, request_hash="0" * 64, transport="WS",
        action="chat", action_complexity=2, maturity_at_start="INTERN", input_data={"message": "Hi"},
        model="m", queued_at=NOW,
    )  # fmt: skip
    db.add(row)
    db.commit()

    assert (row.status, row.on_disconnect) == ("QUEUED", "cancel")
    assert (row.attempts, row.last_seq, row.prompt_tokens, row.completion_tokens) == (0, 0, 0, 0)
    assert row.usage_estimated is False
    assert row.output_text is None


def test_input_data_is_stored_as_it_is(db: Session) -> None:
    """JSON goes in and comes out with its types."""
    data = {"message": "Grüße 🙂", "metadata": {"n": 1, "x": None, "deep": [True, {"a": 0.5}]}}
    row = AgentExecutionFactory.create_sync(input_data=data)

    db.expire_all()
    assert row.input_data == data


def test_times_keep_their_moment_and_come_back_in_utc(db: Session) -> None:
    """A time with another zone is the same moment in UTC, to the microsecond."""
    row = UserFactory.create_sync(created_at=NOW.astimezone(timezone(timedelta(hours=5, minutes=30))))

    db.expire_all()
    assert row.created_at == NOW
    assert row.created_at.utcoffset() == timedelta(0)


def test_stored_times_sort_as_text(db: Session) -> None:
    """SQLite compares text; the text of times must have their order, also around whole seconds."""
    whole = datetime(2026, 1, 1, tzinfo=UTC)
    moments = [whole - timedelta(microseconds=1), whole, whole + timedelta(microseconds=1)]
    for moment in reversed(moments):
        UserFactory.create_sync(created_at=moment)

    assert db.scalars(select(User.created_at).order_by(User.created_at)).all() == moments


def test_a_time_without_zone_is_refused(db: Session) -> None:
    """A naive time is a mistake, found when it is stored."""
    db.add(User(id=new_id("usr"), email="a@b.c", name="A", created_at=datetime(2026, 1, 1)))  # noqa: DTZ001
    with pytest.raises(StatementError, match="must carry a zone"):
        db.commit()


@pytest.mark.parametrize(
    ("values", "constraint"),
    [
        pytest.param({"maturity_level": "GENIUS"}, "maturity_level_known", id="unknown level"),
        pytest.param({"maturity_level": "student"}, "maturity_level_known", id="level in small letters"),
        pytest.param({"state": "BUSY"}, "state_known", id="unknown state"),
        pytest.param({"confidence_bp": -1}, "confidence_range", id="confidence below 0"),
        pytest.param({"confidence_bp": 10_001}, "confidence_range", id="confidence above 10000"),
        pytest.param({"name": ""}, "name_given", id="no name"),
        pytest.param({"created_by": "usr_nobody"}, "FOREIGN KEY", id="creator unknown"),
        pytest.param({"model": None}, "agent_registry.model", id="no model"),
    ],
)
def test_agent_constraints(db: Session, values: dict[str, Any], constraint: str) -> None:
    """Each constraint of `agent_registry`, broken alone."""
    refused(db, AgentFactory.build(**({"created_by": UserFactory.create_sync().id} | values)), constraint)


@pytest.mark.parametrize("confidence_bp", [0, 10_000])
def test_confidence_on_its_borders(db: Session, confidence_bp: int) -> None:
    """Both ends of the range are values."""
    assert AgentFactory.create_sync(confidence_bp=confidence_bp).confidence_bp == confidence_bp


@pytest.mark.parametrize("state", ["ACTIVE", "PAUSED"])
def test_agent_name_is_unique_while_in_use(db: Session, state: str) -> None:
    """Two agents in use cannot share a name; any number of archived ones may."""
    owner = UserFactory.create_sync().id
    for _ in range(2):
        AgentFactory.create_sync(name="same", state="ARCHIVED", created_by=owner)
    AgentFactory.create_sync(name="same", state=state, created_by=owner)

    refused(db, AgentFactory.build(name="same", created_by=owner), "agent_registry.name")


@pytest.mark.parametrize(
    ("values", "constraint"),
    [
        pytest.param({"email": "Mixed@Example.org"}, "email_lower", id="capitals in the address"),
        pytest.param({"email": "taken@example.org"}, "users.email", id="address taken"),
        pytest.param({"name": None}, "users.name", id="no name"),
    ],
)
def test_user_constraints(db: Session, values: dict[str, Any], constraint: str) -> None:
    """Each constraint of `users`, broken alone."""
    UserFactory.create_sync(email="taken@example.org")
    refused(db, UserFactory.build(**values), constraint)


@pytest.mark.parametrize(
    ("values", "constraint"),
    [
        pytest.param({"token_sha256": "1" * 64}, "api_tokens.token_sha256", id="hash taken"),
        pytest.param({"user_id": "usr_nobody"}, "FOREIGN KEY", id="owner unknown"),
    ],
)
def test_token_constraints(db: Session, values: dict[str, Any], constraint: str) -> None:
    """Each constraint of `api_tokens`, broken alone."""
    owner = UserFactory.create_sync().id
    TokenFactory.create_sync(token_sha256="1" * 64, user_id=owner)
    refused(db, TokenFactory.build(**({"user_id": owner} | values)), constraint)


@pytest.mark.parametrize(
    ("values", "constraint"),
    [
        pytest.param({"status": "DONE"}, "status_known", id="unknown status"),
        pytest.param({"transport": "CARRIER_PIGEON"}, "transport_known", id="unknown transport"),
        pytest.param({"maturity_at_start": "GENIUS"}, "maturity_at_start_known", id="unknown level"),
        pytest.param({"on_disconnect": "wait"}, "on_disconnect_known", id="unknown on_disconnect"),
        pytest.param({"action_complexity": 0}, "complexity_range", id="complexity 0"),
        pytest.param({"action_complexity": 5}, "complexity_range", id="complexity 5"),
        pytest.param({"completed_at": None}, "terminal_has_completed_at", id="completed without a time"),
        pytest.param({"status": "RUNNING"}, "terminal_has_completed_at", id="running with an end"),
        pytest.param({"error_code": "internal"}, "failure_has_error_code", id="completed with an error"),
        pytest.param({"status": "FAILED"}, "failure_has_error_code", id="failed without an error"),
        pytest.param({"status": "TIMED_OUT"}, "failure_has_error_code", id="timed out without an error"),
        pytest.param({"status": "CANCELLED"}, "failure_has_error_code", id="cancelled without an error"),
        pytest.param({"status": "INTERRUPTED"}, "failure_has_error_code", id="interrupted without an error"),
        pytest.param({"agent_id": "agt_none"}, "FOREIGN KEY", id="agent unknown"),
        pytest.param({"user_id": "usr_none"}, "FOREIGN KEY", id="user unknown"),
        pytest.param({"session_id": "ses_none"}, "FOREIGN KEY", id="session unknown"),
    ],
)
def test_execution_constraints(db: Session, values: dict[str, Any], constraint: str) -> None:
    """Each constraint of `agent_executions`, broken alone."""
    agent = AgentFactory.create_sync()
    row = AgentExecutionFactory.build(**({"agent_id": agent.id, "user_id": agent.created_by} | values))
    refused(db, row, constraint)


@pytest.mark.parametrize("status", list(RunStatus))
def test_every_status_has_a_row_that_is_allowed(db: Session, status: RunStatus) -> None:
    """Open runs have no end; every end but COMPLETED has a code."""
    done = status is RunStatus.COMPLETED
    row = AgentExecutionFactory.create_sync(
        status=status,
        completed_at=NOW if status.terminal else None,
        error_code="internal" if status.terminal and not done else None,
    )

    assert row.status == status


def test_request_id_is_unique_for_a_user(db: Session) -> None:
    """One user cannot use an id twice; another user may, and runs without one do not matter."""
    first = AgentExecutionFactory.create_sync(request_id="r1")
    AgentExecutionFactory.create_sync(request_id="r1", agent_id=first.agent_id)
    for _ in range(2):
        AgentExecutionFactory.create_sync(request_id=None, agent_id=first.agent_id, user_id=first.user_id)

    row = AgentExecutionFactory.build(request_id="r1", agent_id=first.agent_id, user_id=first.user_id)
    refused(db, row, "agent_executions.user_id, agent_executions.request_id")


@pytest.mark.parametrize(
    ("values", "constraint"),
    [
        pytest.param({"rating": 0}, "rating_range", id="rating 0"),
        pytest.param({"rating": 11}, "rating_range", id="rating 11"),
        pytest.param({"feedback_type": "applause"}, "feedback_type_known", id="unknown type"),
        pytest.param({"sentiment": "MIXED"}, "sentiment_known", id="unknown sentiment"),
        pytest.param({"feedback_type": "rating"}, "rating_given", id="rating without one"),
        pytest.param({"feedback_type": "correction"}, "correction_given", id="correction without one"),
        pytest.param({"correction": "x" * 16_001}, "correction_length", id="long correction"),
        pytest.param({"execution_id": "exe_none"}, "FOREIGN KEY", id="execution unknown"),
        pytest.param({"agent_id": "agt_none"}, "FOREIGN KEY", id="agent unknown"),
        pytest.param({"user_id": "usr_none"}, "FOREIGN KEY", id="user unknown"),
    ],
)
def test_feedback_constraints(db: Session, values: dict[str, Any], constraint: str) -> None:
    """Each constraint of `agent_feedback`, broken alone."""
    run = AgentExecutionFactory.create_sync()
    given = {"execution_id": run.id, "agent_id": run.agent_id, "user_id": run.user_id} | values
    refused(db, AgentFeedbackFactory.build(**given), constraint)


@pytest.mark.parametrize("rating", [1, 10])
def test_ratings_on_their_borders(db: Session, rating: int) -> None:
    """One and ten are ratings."""
    assert AgentFeedbackFactory.create_sync(feedback_type="rating", rating=rating).rating == rating


def test_one_feedback_of_a_user_on_a_run(db: Session) -> None:
    """Another user may judge the same run, the same user may not do it twice."""
    first = AgentFeedbackFactory.create_sync()
    AgentFeedbackFactory.create_sync(execution_id=first.execution_id, agent_id=first.agent_id)

    row = AgentFeedbackFactory.build(
        execution_id=first.execution_id, agent_id=first.agent_id, user_id=first.user_id
    )
    refused(db, row, "agent_feedback.execution_id, agent_feedback.user_id")


def test_session_name_is_unique_for_user_and_agent(db: Session) -> None:
    """A name chosen by a client never reaches the session of another user or agent."""
    first = chat_session()
    db.add_all([first, chat_session(agent_id=first.agent_id), chat_session(user_id=first.user_id)])
    db.commit()

    refused(
        db,
        chat_session(user_id=first.user_id, agent_id=first.agent_id),
        "chat_sessions.user_id, chat_sessions.agent_id, chat_sessions.external_key",
    )


def test_message_constraints(db: Session) -> None:
    """A message has its place in an existing session, and a known author."""
    session = chat_session()
    db.add(session)
    db.commit()
    db.add(message(session))
    db.commit()

    refused(db, message(session), "chat_messages.session_id, chat_messages.seq")
    refused(db, message(session, seq=2, author="robot"), "author_known")
    refused(db, message(session, seq=2, session_id="ses_none"), "FOREIGN KEY")
    refused(db, message(session, seq=2, execution_id="exe_none"), "FOREIGN KEY")


def test_attempts_are_numbered_within_their_run(db: Session) -> None:
    """A run has each attempt once."""
    first = attempt()
    db.add_all([first, attempt(execution_id=first.execution_id, attempt=2)])
    db.commit()
    key = first.execution_id
    db.expunge_all()

    refused(db, attempt(execution_id=key), "run_attempts.execution_id, run_attempts.attempt")
    refused(db, attempt(execution_id="exe_none"), "FOREIGN KEY")


def test_audit_names_an_existing_actor_or_none(db: Session) -> None:
    """A stranger has no id; a made-up one is refused."""
    db.add(audit(actor_id=None))
    db.commit()

    refused(db, audit(actor_id="usr_none"), "FOREIGN KEY")


CHECKED = {
    "users": {"email_lower"},
    "api_tokens": set(),
    "agent_registry": {"maturity_level_known", "state_known", "confidence_range", "name_given"},
    "chat_sessions": set(),
    "chat_messages": {"author_known"},
    "agent_executions": {
        "status_known", "transport_known", "maturity_at_start_known", "on_disconnect_known",
        "complexity_range", "terminal_has_completed_at", "failure_has_error_code",
    },
    "run_attempts": set(),
    "agent_feedback": {
        "feedback_type_known", "sentiment_known", "rating_range", "rating_given", "correction_given",
        "correction_length",
    },
    "audit_log": set(),
}  # fmt: skip
"""Every CHECK that is broken above. A new one must be broken too."""


@pytest.mark.parametrize("table", list(Base.metadata.tables.values()), ids=lambda table: table.name)
def test_no_check_is_left_out(table: Any) -> None:
    """The tests above know every CHECK of the models."""
    names = {
        str(one.name).removeprefix(f"ck_{table.name}_")
        for one in table.constraints
        if isinstance(one, CheckConstraint)
    }

    assert names == CHECKED[table.name]


@pytest.mark.parametrize("table", list(Base.metadata.tables.values()), ids=lambda table: table.name)
def test_migrated_schema_is_that_of_the_models(db: Session, table: Any) -> None:
    """Columns, keys, uniques and checks of the migrated database are those of the metadata."""
    found = inspect(db.get_bind())
    assert {one["name"] for one in found.get_columns(table.name)} == {one.name for one in table.columns}
    assert {one["name"] for one in found.get_check_constraints(table.name)} == {
        one.name for one in table.constraints if isinstance(one, CheckConstraint)
    }
    assert {tuple(one["constrained_columns"]) for one in found.get_foreign_keys(table.name)} == {
        tuple(one.column_keys) for one in table.constraints if isinstance(one, ForeignKeyConstraint)
    }
    assert {tuple(one["column_names"]) for one in found.get_unique_constraints(table.name)} == {
        tuple(column.name for column in one.columns)
        for one in table.constraints
        if isinstance(one, UniqueConstraint)
    }
    assert {one["name"] for one in found.get_indexes(table.name)} == {one.name for one in table.indexes}


def test_there_are_no_floats(db: Session) -> None:
    """Nothing that is stored is rounded."""
    found = inspect(db.get_bind())
    kinds = {str(one["type"]) for table in Base.metadata.tables for one in found.get_columns(table)}

    assert not {kind for kind in kinds if re.match("FLOAT|REAL|DOUBLE|NUMERIC|DECIMAL", kind)}


def test_foreign_keys_are_checked_in_these_tests(db: Session) -> None:
    """Without this pragma half of the tests above would prove nothing."""
    assert db.execute(text("PRAGMA foreign_keys")).scalar() == 1


def test_ids_sort_by_time_and_know_their_kind() -> None:
    """Ids made one after another, in different milliseconds, sort in that order."""
    made = [new_id("exe") for _ in range(1000)]

    assert len(set(made)) == 1000
    assert all(re.fullmatch(r"exe_[0-9a-f]{12}7[0-9a-f]{3}[89ab][0-9a-f]{15}", one) for one in made)
    stamps = [one[4:16] for one in made]
    assert stamps == sorted(stamps)


@pytest.mark.parametrize(
    ("text", "good"),
    [
        ("exe_" + "0" * 32, True),
        ("exe_" + "0" * 31, False),
        ("exe_" + "0" * 33, False),
        ("exe_" + "A" * 32, False),
        ("exe_" + "٣" * 32, False),
        ("usr_" + "0" * 32, False),
        ("0" * 32, False),
        ("", False),
    ],
)
def test_what_can_be_an_id(text: str, good: bool) -> None:
    """Only a well-formed id of the right kind reaches the database."""
    assert is_id(text, "exe") is good
