"""What drivers say, and what is made of it."""

import sqlite3
from contextlib import closing

import pymysql
import pytest
from sqlalchemy.exc import DBAPIError, IntegrityError, InterfaceError, OperationalError

from eomd.errors import DiskFullError, EomdError, LedgerUnavailableError
from eomd.storage.ledger_errors import Fault, describe, fault_of, ours


def mysql(code, text="what the server says"):
    return OperationalError("SELECT geheim", {"p": "geheim"}, pymysql.err.OperationalError(code, text))


def sqlite(*statements):
    """Return the error that the last of these statements meets."""
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        with pytest.raises(sqlite3.Error) as met:
            for statement in statements:
                connection.execute(statement)
        kind = IntegrityError if isinstance(met.value, sqlite3.IntegrityError) else OperationalError
        return kind("INSERT", {}, met.value)


@pytest.mark.parametrize(
    "code",
    [
        1040,
        1044,
        1045,
        1049,
        1053,
        1129,
        1142,
        1203,
        1226,
        1290,
        1698,
        1836,
        1927,
        2003,
        2006,
        2013,
        2055,
        4031,
    ],
)
def test_what_a_fresh_connection_may_help_against_is_about_the_link(code):
    assert fault_of(mysql(code)) is Fault.LINK
    assert isinstance(ours(mysql(code), repeated=True), LedgerUnavailableError)


@pytest.mark.parametrize("code", [1205, 1213, 1114, 1021, 1969, 3024])
def test_what_passes_by_itself_leaves_the_link_up(code):
    assert fault_of(mysql(code)) is Fault.BUSY
    assert isinstance(ours(mysql(code), repeated=True), LedgerUnavailableError)


@pytest.mark.parametrize("code", [1064, 1264, 1366, 1406])
def test_our_own_mistakes_are_not_taken_for_an_outage(code):
    assert fault_of(mysql(code)) is Fault.OURS
    assert not isinstance(ours(mysql(code), repeated=False), LedgerUnavailableError)


def test_a_socket_closed_under_the_driver_is_about_the_link():
    assert fault_of(InterfaceError("SELECT", {}, pymysql.err.InterfaceError(0, ""))) is Fault.LINK
    torn = pymysql.err.InternalError("Packet sequence number wrong - got 5 expected 1")
    assert fault_of(DBAPIError("SELECT", {}, torn)) is Fault.LINK


@pytest.mark.parametrize("code, fault", [(1062, Fault.TAKEN), (1048, Fault.OURS), (1452, Fault.OURS)])
def test_only_a_unique_value_can_be_taken(code, fault):
    assert fault_of(IntegrityError("INSERT", {}, pymysql.err.IntegrityError(code, "no"))) is fault


def test_sqlite_without_space_is_a_full_disk():
    error = sqlite(
        "PRAGMA max_page_count = 2", "CREATE TABLE t (a)", "INSERT INTO t VALUES (zeroblob(100000))"
    )
    assert fault_of(error) is Fault.FULL
    assert isinstance(ours(error, repeated=False), DiskFullError)


@pytest.mark.parametrize(
    "statements, fault",
    [
        (["SELECT 1 FROM nowhere"], Fault.UNMIGRATED),
        (["CREATE TABLE t (a)", "SELECT b FROM t"], Fault.UNMIGRATED),
        (["CREATE TABLE t (a)", "INSERT INTO t (b) VALUES (1)"], Fault.UNMIGRATED),
        (["CREATE TABLE t (a UNIQUE)", "INSERT INTO t VALUES (1), (1)"], Fault.TAKEN),
        (["CREATE TABLE t (a INTEGER PRIMARY KEY)", "INSERT INTO t VALUES (1), (1)"], Fault.TAKEN),
        (["CREATE TABLE t (a NOT NULL)", "INSERT INTO t VALUES (NULL)"], Fault.OURS),
        (["SELEKT"], Fault.OURS),
    ],
)
def test_sqlite_errors_are_told_apart(statements, fault):
    assert fault_of(sqlite(*statements)) is fault


def test_a_description_holds_the_servers_words_and_nothing_of_the_statement():
    error = mysql(1045, "Access denied\n for user 'u'")
    assert describe(error) == "1045: Access denied for user 'u'"
    assert "geheim" not in str(ours(error, repeated=True))
    assert isinstance(ours(error, repeated=True), EomdError)
