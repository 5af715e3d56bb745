"""Furnishing the rooms: settings → the parts of a server, each told about those it needs. Starts nothing."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, timedelta
from functools import cache, partial
from pathlib import Path
from zoneinfo import ZoneInfo

from eomd.config import Settings
from eomd.config_files import read_ledger_password
from eomd.config_tables import ApprovalTable, ClusterTable, ModifyTable, parse_hours
from eomd.evt.cluster import Cluster, ClusterSettings
from eomd.evt.codec import load_codec
from eomd.handlers.access import Access, AccessSettings, Tokens, parse_networks
from eomd.handlers.answer import encode
from eomd.handlers.console_files import Console
from eomd.handlers.context import Context
from eomd.handlers.metrics import Metrics
from eomd.handlers.openapi import describe_api
from eomd.handlers.routes import make_routes
from eomd.inbox_layout import OUTBOX
from eomd.incident_spool import INCIDENTS, IncidentSpool
from eomd.model import Operation
from eomd.operations.activity import Activity
from eomd.operations.admission import Admission
from eomd.operations.approval import ApprovalRules
from eomd.operations.approvals import Approvals
from eomd.operations.audit import Audit
from eomd.operations.board import Board
from eomd.operations.brake import BrakeLimits
from eomd.operations.clusters import ClusterOffice
from eomd.operations.definitions import Definitions
from eomd.operations.derivation import Derivation
from eomd.operations.desk import Desk
from eomd.operations.dropped_files import DroppedFiles
from eomd.operations.dropped_retention import DroppedRetention
from eomd.operations.evidence import EvidenceRoom
from eomd.operations.fleet import Fleet
from eomd.operations.hand_ins import HandIns
from eomd.operations.inbox import Inbox
from eomd.operations.incidents import IncidentBook
from eomd.operations.intake import Intake
from eomd.operations.lineage import Lineage
from eomd.operations.outbox import Outbox
from eomd.operations.people import People
from eomd.operations.recovery import Recovery
from eomd.operations.repeats import Repeats
from eomd.operations.results import Results
from eomd.operations.retention import Retention
from eomd.operations.rules import Rules
from eomd.operations.schedule import Schedule
from eomd.operations.settling import Settling
from eomd.operations.tools import Executors, Tools
from eomd.operations.watch import Watch
from eomd.storage.csv_reader import ReadLimits
from eomd.storage.files import DataFolder
from eomd.storage.ledger import Ledger, LedgerSettings
from eomd.storage.recorder import Recorder
from eomd.storage.spool import Spool
from eomd.version import commit

RECEIVING_THREADS = 2


@dataclass(frozen=True, slots=True)
class Rooms:
    """A server's parts."""

    data: DataFolder
    ledger: Ledger
    recorder: Recorder
    clusters: Mapping[str, Cluster]
    fleet: Fleet
    executors: Executors
    hand_ins: HandIns
    schedule: Schedule
    recovery: Recovery
    definitions: Definitions
    retention: Retention
    incidents: IncidentBook
    outbox: Outbox
    desk: Desk
    context: Context


def furnish(settings: Settings, data: DataFolder, api_socket: Path | None) -> Rooms:
    """Make the parts of a server whose data folder is locked. Blocks on the disk.

    Raises ConfigurationError for a password file or a ledger that cannot be used.
    """
    metrics = Metrics()
    rules = make_rules(settings)
    ledger = Ledger(ledger_settings(settings, os.environ))
    recorder = Recorder(ledger, Spool(data.spool))
    definitions = Definitions(ledger, rules)
    executors = Executors.create()
    board = Board(time.monotonic)
    tools = Tools(
        data=data,
        recorder=recorder,
        executors=executors,
        rules=rules,
        definitions=definitions.of,
        answered=metrics.rows.count,
    )
    outbox = Outbox(settings.data_dir / OUTBOX, tools)
    tools.changed = partial(_tell, board, outbox)
    clusters: dict[str, Cluster] = {}
    schedule = Schedule(clusters, tools, board)
    tools.window_segments = schedule.window_segments
    watch = Watch(clusters, ledger)
    office = ClusterOffice(clusters, definitions, tools, watch)
    office.restore()
    dropped = DroppedFiles(rules)
    hand_ins = HandIns(ledger)
    admission = Admission(ledger, schedule, tools)
    spool = IncidentSpool(data.spool / INCIDENTS)
    incidents = IncidentBook(ledger, spool, data.origin().hex(), executors.serving)
    dropped_retention = DroppedRetention(ledger, dropped, outbox.folder, tools)
    retention = Retention(ledger, board, tools, dropped_retention, incidents)
    repeats = Repeats(ledger, admission, rules)
    intake = Intake(ledger, hand_ins, schedule, definitions, tools, admission, repeats, clusters)
    audit = Audit(ledger)
    lineage = Lineage(ledger, board)
    desk = Desk(
        ledger=ledger,
        board=board,
        schedule=schedule,
        intake=intake,
        repeats=repeats,
        definitions_=definitions,
        results=Results(tools),
        clusters_=office,
        retention=retention,
        approvals=Approvals(schedule, board, audit),
        evidence_=EvidenceRoom(ledger, tools),
        audit=audit,
        tools=tools,
        watch=watch,
        incidents=incidents,
        inbox=Inbox(
            ledger=ledger,
            board=board,
            hand_ins=hand_ins,
            schedule=schedule,
            intake=intake,
            admission=admission,
            repeats=repeats,
            outbox=outbox,
            audit=audit,
            files=dropped,
            tools=tools,
        ),
        derivation=Derivation(lineage, intake, tools, clusters),
        settling=Settling(lineage, board, intake, tools, clusters),
        activity=Activity(time.monotonic),
    )
    return Rooms(
        data=data,
        ledger=ledger,
        recorder=recorder,
        clusters=clusters,
        fleet=Fleet(clusters, schedule, office, partial(_observe, metrics, desk.activity)),
        executors=executors,
        hand_ins=hand_ins,
        schedule=schedule,
        recovery=Recovery(ledger, hand_ins, schedule, tools),
        definitions=definitions,
        retention=retention,
        incidents=incidents,
        outbox=outbox,
        desk=desk,
        context=_make_context(settings, desk, metrics, api_socket),
    )


def _tell(board: Board, outbox: Outbox, operation: Operation) -> None:
    board.changed(operation)
    outbox.changed(operation)


def ledger_settings(settings: Settings, environ: Mapping[str, str]) -> LedgerSettings:
    """Return what the ledger is told. Raises ConfigurationError for a password file that cannot be used."""
    return LedgerSettings(
        url=settings.ledger_url,
        password=read_ledger_password(settings, environ),
        table=settings.ledger.table,
        time_zone=settings.ledger.time_zone,
    )


def make_rules(settings: Settings) -> Rules:
    """Return what operations may do."""
    limits = settings.limits
    return Rules(
        read=ReadLimits(rows=limits.rows, line_bytes=limits.line_bytes),
        queued_operations_max=limits.queued_operations,
        min_free_mb=limits.min_free_mb,
        refuse_unknown_eids=limits.unknown_eids == "refuse",
        files_days=settings.retention.files_days,
        log_days=settings.retention.log_days,
        upload_bytes_max=limits.upload_mb << 20,
        inbox=settings.inbox_path,
        refuse_repeats=settings.modify.refuse_repeats,
        approval=_approval_rules(settings.approval),
        canary_rows=settings.modify.canary_rows,
        brakes={name: _brake(settings.modify, table) for name, table in settings.clusters.items()},
        brake=_brake(settings.modify, None),
        inbox_enabled=settings.inbox.enabled,
        recipes={name: table.model_dump(mode="json") for name, table in settings.inbox.recipes.items()},
    )


def _brake(modify: ModifyTable, cluster: ClusterTable | None) -> BrakeLimits:
    share = cluster.brake_failed_share if cluster else None
    latency_ms = cluster.brake_latency_ms if cluster else None
    return BrakeLimits(
        modify.brake_failed_share if share is None else share,
        modify.brake_latency_ms if latency_ms is None else latency_ms,
    )


def _approval_rules(table: ApprovalTable) -> ApprovalRules:
    return ApprovalRules(
        rows=table.rows,
        total_amount=table.total_amount,
        largest_amount=table.largest_amount,
        clusters=table.clusters,
        eids=table.eids,
        hours=tuple(map(parse_hours, table.hours)),
        zone=ZoneInfo(table.time_zone) if table.time_zone != "UTC" else UTC,
        expires=timedelta(hours=table.expires_hours),
    )


def cluster_settings(settings: Settings, origin: bytes) -> dict[str, ClusterSettings]:
    """Return what the pools are told, by cluster. Raises ConfigurationError for an unknown codec."""
    return {
        name: ClusterSettings(
            name=name,
            nodes=table.nodes,
            codec=load_codec(table.codec),
            origin=origin,
            reply_timeout_s=table.reply_timeout_s,
            rows_per_s=table.rows_per_s,
        )
        for name, table in settings.clusters.items()
    }


def _observe(
    metrics: Metrics, activity: Activity, cluster: str, node: str, seconds: float, rows: int
) -> None:
    metrics.observe_cluster(cluster, seconds)
    activity.observe(cluster, node, seconds, rows)


def _make_context(settings: Settings, desk: Desk, metrics: Metrics, api_socket: Path | None) -> Context:
    people = People(desk.ledger, desk.tools.executors.serving)
    return Context(
        desk=desk,
        access=Access(access_settings(settings, api_socket), Tokens(desk.ledger), people),
        metrics=metrics,
        receiving=ThreadPoolExecutor(RECEIVING_THREADS, thread_name_prefix="receiving"),
        upload_mb=settings.limits.upload_mb,
        connections_max=settings.limits.connections,
        streams_max=settings.limits.event_streams,
        openapi=cache(lambda: encode(describe_api(make_routes()))),
        commit=commit(),
        console=Console.read(),
    )


def access_settings(settings: Settings, api_socket: Path | None, *, exposed: bool = False) -> AccessSettings:
    """Return how callers are told apart; `exposed`: others than this machine can connect."""
    return AccessSettings(
        enabled=settings.auth.enabled or exposed,
        mis_networks=parse_networks(settings.auth.mis_networks),
        trusted_proxies=parse_networks(settings.server.trusted_proxies),
        owner_uid=os.geteuid(),
        api_socket=api_socket,
    )
