"""The routes as a Tornado application."""

from __future__ import annotations

import logging
from typing import cast

from tornado.routing import URLSpec
from tornado.web import Application, RequestHandler

from eomd.handlers.base import ApiHandler, UnknownPathHandler
from eomd.handlers.context import Context
from eomd.handlers.route import Route
from eomd.handlers.routes import make_routes

logger = logging.getLogger(__name__)


def make_application(context: Context) -> Application:
    """Return the application that serves every route, and a 404 in JSON at every other path."""
    handlers = [
        URLSpec(route.pattern, route.handler, {"route": route, "context": context, **route.arguments})
        for route in make_routes()
    ]
    unknown = Route("none", UnknownPathHandler, {})
    return Application(
        list(handlers),
        default_handler_class=UnknownPathHandler,
        default_handler_args={"route": unknown, "context": context},
        log_function=_log_request,
    )


def _log_request(handler: RequestHandler) -> None:
    request = cast(ApiHandler, handler)
    code, seconds = request.get_status(), request.request.request_time()
    known = request.request.method if request.request.method in request.route.methods else "other"
    request.context.metrics.observe_http(str(known), request.route.path, code, seconds)
    logger.debug("%d %s %s %.1f ms", code, request.request.method, request.request.path, seconds * 1000)
