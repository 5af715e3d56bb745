"""The ledger's contract about people, on every kind of database."""

from dataclasses import replace
from datetime import timedelta

import pytest
from ledger_homes import NOON, MariaHome, SqliteHome, new_operation

from eomd.model import Grants, Model, Order, Role
from eomd.storage.ledger import Ledger, OperationFilter, SessionRecord, TakenError, TokenRecord, UserRecord

GRANTS = Grants(frozenset({"fish", "label"}), frozenset({1001, 2**32 - 1}))

FOREIGN = """INSERT INTO define_optgroup
    (description, executed, handleres, conf, operatorid, create_time, status)
    VALUES ('of old', 1, 10, '{"cluster": "fish", "eids": "1001"}', 7, '2025-01-02 03:04:05', 10)"""


@pytest.fixture(params=["sqlite", "mariadb"])
def home(request, tmp_path):
    if request.param == "sqlite":
        return SqliteHome(tmp_path)
    return MariaHome(request.getfixturevalue("mariadb"))


def make_user(name="li", operatorid=2**63 - 1, **fields):
    return UserRecord(name, operatorid, "李\U0001f41f", Role.APPROVER, "$argon2id$x", NOON, **fields)


def make_session(number=1, user="li", hours=1):
    created = NOON + timedelta(seconds=number)
    return SessionRecord(f"s{number}", user, created, created + timedelta(hours=hours), "2001:db8::1")


def at_noon(ledger: Ledger) -> Ledger:
    ledger._clock = lambda: NOON
    return ledger


def test_a_user_reads_back_and_its_changes_too(home):
    async def scenario(ledger):
        user = make_user(grants=GRANTS)
        await ledger.add_user(user)
        assert await ledger.users() == [user]
        changed = replace(
            user, role=Role.VIEWER, grants=Grants(frozenset(), None), disabled=NOON, locked_until=NOON
        )
        await ledger.change_user(changed, end_sessions=False)
        assert await ledger.users() == [changed]
        assert "argon2" not in repr(user)

    home.run(scenario)


@pytest.mark.parametrize("other", [make_user("li", 8), make_user("wang")])
def test_a_name_or_operatorid_is_taken_once(home, other):
    async def scenario(ledger):
        await ledger.add_user(make_user())
        with pytest.raises(TakenError):
            await ledger.add_user(other)
        assert await ledger.users() == [make_user()]

    home.run(scenario)


def test_only_the_newest_sessions_of_a_user_stay(home):
    async def scenario(ledger):
        at_noon(ledger)
        li, wang = make_user(), make_user("wang", 8)
        await ledger.add_user(li)
        await ledger.add_user(wang)
        for number in (1, 2, 3):
            assert await ledger.add_session(make_session(number), li, 2)
            assert await ledger.add_session(make_session(number), li, 2)
        await ledger.add_session(make_session(9, "wang"), wang, 2)
        assert await ledger.sessions() == [make_session(2), make_session(3), make_session(9, "wang")]

    home.run(scenario)


def test_a_session_ends_by_itself_by_word_and_with_another_password(home):
    async def scenario(ledger):
        at_noon(ledger)
        await ledger.add_user(make_user())
        for number, hours in ((1, 0), (2, 1), (3, 1)):
            await ledger.add_session(make_session(number, hours=hours), make_user(), 9)
        assert [session.id for session in await ledger.sessions()] == ["s2", "s3"]
        await ledger.end_session("s2")
        assert await ledger.sessions() == [make_session(3)]
        await ledger.change_user(make_user(), end_sessions=False)
        assert await ledger.sessions() == [make_session(3)]
        await ledger.change_user(make_user(), end_sessions=True)
        assert await ledger.sessions() == []

    home.run(scenario)


@pytest.mark.parametrize("change", [{"password": "another"}, {"disabled": NOON}])
def test_a_log_in_on_its_way_does_not_outlive_a_change(home, change):
    async def scenario(ledger):
        at_noon(ledger)
        await ledger.add_user(make_user())
        await ledger.change_user(replace(make_user(), **change), end_sessions=True)
        assert not await ledger.add_session(make_session(1), make_user(), 9)
        assert await ledger.sessions() == []

    home.run(scenario)


def test_a_token_keeps_whose_it_is_and_what_it_may_reach(home):
    async def scenario(ledger):
        token = TokenRecord("t1", "li", "5ecret", Role.OPERATOR, NOON, None, None, GRANTS, 7, "李")
        await ledger.add_token(token)
        assert await ledger.tokens() == [token]

    home.run(scenario)


@pytest.mark.parametrize(
    ("grants", "seen"),
    [
        (Grants(), ["fish", "label", "two", "foreign"]),
        (Grants(frozenset({"fish"})), ["fish", "two"]),
        (Grants(None, frozenset({1001})), ["fish", "label"]),
        (Grants(frozenset({"fish"}), frozenset({1001, 1002, 5})), ["fish", "two"]),
        (Grants(frozenset({"fish"}), frozenset({1002})), []),
        (Grants(frozenset(), None), []),
        (Grants(None, frozenset()), []),
    ],
)
def test_a_list_holds_what_is_granted(home, grants, seen):
    async def scenario(ledger):
        names = {}
        for name, cluster, eids in (
            ("fish", "fish", (1001,)),
            ("label", "label", (1001,)),
            ("two", "fish", (1001, 1002)),
        ):
            order = Order(Model.QUERY, cluster, eids, operatorid=7, operatorname="Li")
            names[(await ledger.admit(replace(new_operation(), order=order))).id] = name
        home.execute(FOREIGN)
        total, found = await ledger.operations(OperationFilter(grants=grants))
        assert total == len(found)
        assert [names.get(each.id, "foreign") for each in reversed(found)] == seen

    home.run(scenario)
