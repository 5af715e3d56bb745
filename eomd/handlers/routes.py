"""The one table of routes: what is served, to whom, and what it takes and gives."""

from __future__ import annotations

from typing import Any

from eomd.handlers.activity import ActivityHandler
from eomd.handlers.base import ApiHandler
from eomd.handlers.child_requests import CHILD_REQUESTS, SettleRequest, UncertainRequest
from eomd.handlers.clusters import ClusterHandler, ClustersHandler
from eomd.handlers.console import ConsoleAssetHandler, ConsoleHandler, ConsolePageHandler
from eomd.handlers.console_files import ASSETS
from eomd.handlers.console_views import (
    ActivityView,
    ApprovalRulesView,
    AuditView,
    DiaryEntryView,
    RecipesView,
    TimelineView,
)
from eomd.handlers.download import DownloadHandler
from eomd.handlers.events import OperationEventsHandler, OverviewEventsHandler
from eomd.handlers.evidence import EvidenceHandler
from eomd.handlers.hand_in import HandInHandler
from eomd.handlers.health import HealthHandler
from eomd.handlers.inbox import InboxHandler
from eomd.handlers.incidents import IncidentsHandler
from eomd.handlers.internal import (
    IncidentNewsHandler,
    LinkHandler,
    RecycleHandler,
    ReloadHandler,
    WatchHandler,
)
from eomd.handlers.metrics_page import MetricsHandler
from eomd.handlers.nosdata import DefinitionsHandler
from eomd.handlers.openapi import OpenApiHandler
from eomd.handlers.operations import (
    ActionHandler,
    ChildHandler,
    DecisionHandler,
    OperationHandler,
    OperationsHandler,
    RowsHandler,
    SettleHandler,
    SummaryHandler,
    TimelineHandler,
)
from eomd.handlers.people import PasswordHandler, SessionHandler, UserHandler, UsersHandler
from eomd.handlers.people_requests import (
    LogInRequest,
    LogOutRequest,
    PasswordRequest,
    TokenRequest,
    UserChange,
    UserRequest,
)
from eomd.handlers.records import AuditHandler, DiaryHandler
from eomd.handlers.requests import (
    ActivityRequest,
    AuditRequest,
    ClusterChange,
    DecisionRequest,
    Definitions,
    DiaryRequest,
    DownloadRequest,
    IncidentsRequest,
    ModifyConfig,
    ModifyHandIn,
    OperationsRequest,
    QueryConfig,
    QueryHandIn,
    RowsRequest,
)
from eomd.handlers.root import RootHandler
from eomd.handlers.route import Method, Route
from eomd.handlers.standing import ApprovalRulesHandler, RecipesHandler
from eomd.handlers.tokens import TokenHandler, TokensHandler
from eomd.handlers.upload import UploadHandler
from eomd.handlers.views import (
    ClusterEntry,
    DefinitionsView,
    HealthView,
    IncidentsView,
    NewOperationView,
    NewTokenView,
    OperationsView,
    OperationView,
    RootView,
    RowsView,
    SessionView,
    TokenView,
    UncertainView,
    UploadView,
    UserView,
)
from eomd.model import Kind, Role

VIEWER, OPERATOR, APPROVER, ADMIN = Role


def make_routes() -> list[Route]:
    """Return every path that is served."""
    return [*_mis_routes(), *_operation_routes(), *_setup_routes(), *_record_routes(), *_people_routes(),
            *_service_routes(), *_console_routes(), *_internal_routes()]  # fmt: skip


def _mis_routes() -> list[Route]:
    """The five paths that the MIS has always called."""
    listing: dict[str, Any] = {"role": VIEWER, "response": OperationsView, "mis": True, "narrows": True}
    download: dict[str, Any] = {
        "role": VIEWER,
        "parameters": DownloadRequest,
        "mis": True,
        "narrows": True,
        "media_type": "text/csv",
    }
    return [
        Route("/query", HandInHandler, {"POST": _hand_in("Read counters", QueryConfig, QueryHandIn)}),
        Route("/modify", HandInHandler, {"POST": _hand_in("Change counters", ModifyConfig, ModifyHandIn)}),
        Route(
            "/queryoperationsbyoperatorid",
            OperationsHandler,
            {
                "GET": Method("List operations, newest first", parameters=OperationsRequest, **listing),
                "POST": Method(
                    "List operations, newest first", request=OperationsRequest, reads=True, **listing
                ),
            },
        ),
        Route(
            "/upload",
            UploadHandler,
            {
                "POST": Method(
                    "Keep a file for later hand-ins",
                    OPERATOR,
                    upload=True,
                    response=UploadView,
                    status=201,
                    mis=True,
                    narrows=True,
                )
            },
        ),
        Route(
            "/download",
            DownloadHandler,
            {
                "GET": Method("Fetch a source, result or log by its name", **download),
                "HEAD": Method("Ask about a source, result or log", **download),
            },
        ),
    ]


def _hand_in(summary: str, config: type[QueryConfig], request: type[QueryHandIn | ModifyHandIn]) -> Method:
    return Method(
        summary, OPERATOR,
        config=config, request=request, upload=True, response=NewOperationView, status=201, mis=True,
        narrows=True,
    )  # fmt: skip


def _operation_routes() -> list[Route]:
    def get(summary: str, **more: Any) -> dict[str, Method]:
        return {"GET": Method(summary, VIEWER, **more)}

    actions = [
        Route(
            f"/operations/{{id}}/{action}",
            ActionHandler,
            {"POST": Method(f"{action.capitalize()} an operation", OPERATOR, response=OperationView)},
            {"action": action},
        )
        for action in ("cancel", "pause", "resume")
    ]
    children = [
        _child(Kind.COMMIT, "Carry out the plan of a dry run"),
        _child(Kind.RETRY, "Try the failed and unsent rows again"),
        _child(Kind.UNDO, "Give back what was changed"),
    ]
    decisions = [
        Route(
            f"/operations/{{id}}/{action}",
            DecisionHandler,
            {
                "POST": Method(
                    f"{action.capitalize()} an operation as a second person",
                    APPROVER,
                    request=DecisionRequest,
                    response=OperationView,
                )
            },
            {"approve": action == "approve"},
        )
        for action in ("approve", "reject")
    ]
    stream: dict[str, Any] = {"media_type": "text/event-stream"}
    return [
        Route("/operations/{id}", OperationHandler, get("One operation", response=OperationView)),
        Route("/operations/{id}/events", OperationEventsHandler, get("Follow one operation", **stream)),
        Route(
            "/operations/{id}/rows",
            RowsHandler,
            get("Rows of the result", parameters=RowsRequest, response=RowsView),
        ),
        Route(
            "/operations/{id}/summary", SummaryHandler, get("Figures of the result", response=dict[str, Any])
        ),
        Route(
            "/operations/{id}/timeline",
            TimelineHandler,
            get("Everything that happened to it", response=TimelineView),
        ),
        Route(
            "/operations/{id}/evidence",
            EvidenceHandler,
            {
                "GET": Method(
                    "Everything there is of an ended operation", APPROVER, media_type="application/zip"
                )
            },
        ),
        *actions,
        *children,
        Route(
            "/operations/{id}/settle",
            SettleHandler,
            {
                "GET": Method(
                    "Uncertain rows, and what the cluster has now",
                    OPERATOR,
                    parameters=UncertainRequest,
                    response=UncertainView,
                ),
                "POST": Method(
                    "Decide about uncertain rows", APPROVER, request=SettleRequest, response=OperationView
                ),
            },
        ),
        *decisions,
        Route(
            "/events", OverviewEventsHandler, get("Follow everything on the overview", narrows=True, **stream)
        ),
    ]


def _child(kind: Kind, summary: str) -> Route:
    method = Method(summary, OPERATOR, request=CHILD_REQUESTS[kind], response=NewOperationView, status=201)
    return Route(f"/operations/{{id}}/{kind}", ChildHandler, {"POST": method}, {"kind": kind})


def _setup_routes() -> list[Route]:
    return [
        Route(
            "/clusters",
            ClustersHandler,
            {"GET": Method("List clusters", VIEWER, response=list[ClusterEntry], narrows=True)},
        ),
        Route(
            "/clusters/{name}",
            ClusterHandler,
            {
                "PATCH": Method(
                    "Change a cluster's speed, park its operations",
                    ADMIN,
                    request=ClusterChange,
                    response=ClusterEntry,
                )
            },
        ),
        Route(
            "/nosdata",
            DefinitionsHandler,
            {
                "GET": Method("The counters' definitions", VIEWER, response=DefinitionsView, narrows=True),
                "PUT": Method(
                    "Replace the counters' definitions", ADMIN, request=Definitions, response=DefinitionsView
                ),
            },
        ),
    ]


def _record_routes() -> list[Route]:
    """What is in force, and what was done."""
    return [
        Route(
            "/approval",
            ApprovalRulesHandler,
            {"GET": Method("What needs a second person", VIEWER, response=ApprovalRulesView, narrows=True)},
        ),
        Route(
            "/recipes",
            RecipesHandler,
            {"GET": Method("The inbox's recipes", VIEWER, response=RecipesView, narrows=True)},
        ),
        Route(
            "/audit",
            AuditHandler,
            {"GET": Method("Who did what, newest first", ADMIN, parameters=AuditRequest, response=AuditView)},
        ),
        Route(
            "/diary",
            DiaryHandler,
            {
                "GET": Method(
                    "The server's starts and ends, newest first",
                    VIEWER,
                    parameters=DiaryRequest,
                    response=list[DiaryEntryView],
                )
            },
        ),
    ]


def _people_routes() -> list[Route]:
    """Who may do what."""
    return [
        Route(
            "/session",
            SessionHandler,
            {
                "GET": Method("Who is asking", VIEWER, response=SessionView, narrows=True),
                "POST": Method("Log in", None, request=LogInRequest, response=SessionView, status=201),
                "DELETE": Method("Log out", VIEWER, parameters=LogOutRequest, narrows=True),
            },
        ),
        Route(
            "/session/password",
            PasswordHandler,
            {"PUT": Method("Choose another password", VIEWER, request=PasswordRequest, narrows=True)},
        ),
        Route(
            "/users",
            UsersHandler,
            {
                "GET": Method("List users", ADMIN, response=list[UserView]),
                "POST": Method("Add a user", ADMIN, request=UserRequest, response=UserView, status=201),
            },
        ),
        Route(
            "/users/{name}",
            UserHandler,
            {"PATCH": Method("Change a user", ADMIN, request=UserChange, response=UserView)},
        ),
        Route(
            "/tokens",
            TokensHandler,
            {
                "GET": Method("List tokens", ADMIN, response=list[TokenView]),
                "POST": Method(
                    "Make a token; it is shown this once",
                    ADMIN,
                    request=TokenRequest,
                    response=NewTokenView,
                    status=201,
                ),
            },
        ),
        Route("/tokens/{id}", TokenHandler, {"DELETE": Method("Revoke a token", ADMIN, response=TokenView)}),
    ]


def _service_routes() -> list[Route]:
    health = Method("How the service is", None, response=HealthView)
    document = Method("This document", None, media_type="application/json")
    root = Method("Where the API is", None, response=RootView)
    return [
        Route("/health", HealthHandler, {"GET": health, "HEAD": health}),
        Route(
            "/activity",
            ActivityHandler,
            {
                "GET": Method(
                    "Rows per second and latency of the last hour",
                    VIEWER,
                    parameters=ActivityRequest,
                    response=ActivityView,
                    narrows=True,
                )
            },
        ),
        Route(
            "/incidents",
            IncidentsHandler,
            {
                "GET": Method(
                    "What the watchdog saw and did, newest first",
                    VIEWER,
                    parameters=IncidentsRequest,
                    response=IncidentsView,
                    narrows=True,
                )
            },
        ),
        Route("/metrics", MetricsHandler, {"GET": Method("Prometheus", None, media_type="text/plain")}),
        Route("/openapi.json", OpenApiHandler, {"GET": document}),
        Route("/", RootHandler, {"GET": root, "HEAD": root}),
    ]


def _console_routes() -> list[Route]:
    """What browsers ask for. The page is the same at each of its addresses, those of web/src/router.ts."""

    def show(path: str, handler: type[ConsoleHandler], summary: str) -> Route:
        method = Method(summary, None, media_type="text/html")
        return Route(path, handler, {"GET": method, "HEAD": method}, console=True)

    pages = ("/console", "/console/{page}", "/console/operations/{id}", "/console/admin/{page}")
    return [
        *(show(path, ConsolePageHandler, "A page of the console") for path in pages),
        show(f"/console/{ASSETS}/{{name}}", ConsoleAssetHandler, "A file of the console"),
    ]


def _internal_routes() -> list[Route]:
    """What the watchdog and the machine's own commands say to the server."""

    def internal(path: str, handler: type[ApiHandler], method: str, summary: str) -> Route:
        return Route(f"/internal/{path}", handler, {method: Method(summary, ADMIN)}, internal=True)

    return [
        internal("watch", WatchHandler, "PUT", "Say what the watchdog sees"),
        internal("recycle", RecycleHandler, "POST", "Replace a pool's connections"),
        internal("reload", ReloadHandler, "POST", "Have the configuration read again"),
        internal("inbox", InboxHandler, "POST", "Offer claimed files"),
        internal("incidents", IncidentNewsHandler, "POST", "Have the incidents' spool looked into"),
        internal("link", LinkHandler, "POST", "Make a one-time link"),
    ]
