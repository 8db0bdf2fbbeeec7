"""The service, assembled: settings, storage, runs, routers. This module keeps no state."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import anyio
import anyio.to_thread
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from backend import telemetry
from backend.api import agents, chat, events, executions, feedback, health, sessions, stream, tokens
from backend.api.answers import on_http_exception, on_validation_error
from backend.api.cors import Cors
from backend.api.edge import Edge
from backend.api.guard import WebSocketGuard
from backend.api.limits import BodyLimit
from backend.providers.choice import Providers
from backend.runs.manager import Runs
from backend.settings import Settings, load_settings
from backend.storage import schema
from backend.storage.session import Database

__all__ = ["create_app"]


def create_app(settings: Settings | None = None) -> FastAPI:
    """The application; without settings, those of the environment. Raises `StartupRefused` for bad ones."""
    settings = settings or load_settings()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[Mapping[str, object]]:
        database = Database(settings)
        app.state.database = database
        try:
            await anyio.to_thread.run_sync(schema.check, settings.database_url)
            async with (
                anyio.create_task_group() as tasks,
                Providers(settings) as providers,
                Runs(settings, database, providers) as runs,
            ):
                app.state.runs = runs
                tasks.start_soon(telemetry.watch_loop)
                yield {"drain": runs.drain}
                tasks.cancel_scope.cancel()
        finally:
            await database.close()

    app = FastAPI(
        title="Agent chat",
        lifespan=lifespan,
        openapi_url=None,  # no interactive pages either
        redirect_slashes=False,
        exception_handlers={HTTPException: on_http_exception, RequestValidationError: on_validation_error},
    )
    app.state.settings = settings
    for module in (health, tokens, agents, chat, feedback, executions, events, sessions, stream):
        app.include_router(module.router)
    app.add_middleware(BodyLimit, settings=settings)
    if settings.allowed_origins:
        app.add_middleware(Cors, origins=settings.allowed_origins)
    app.add_middleware(WebSocketGuard)
    app.add_middleware(Edge)
    return app
