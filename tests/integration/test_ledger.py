"""The ledger's contract, on every kind of database."""

import asyncio
import json
import logging
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from ledger_homes import (
    NOON,
    ORIGIN,
    MariaHome,
    SqliteHome,
    change_of,
    five_done,
    new_operation,
    take_to,
    until,
)

from eomd.errors import ConfigurationError, KeyReusedError, LedgerUnavailableError, WrongStateError
from eomd.model import (
    ClusterTitle,
    Counts,
    Duplicates,
    EidDefinition,
    Grants,
    Mode,
    Model,
    Order,
    PausedBy,
    Role,
    State,
)
from eomd.storage.ledger import AuditEntry, Ledger, LedgerSettings, OperationFilter, TokenRecord

FOREIGN = """INSERT INTO define_optgroup
    (description, executed, handleres, conf, operatorid, create_time, status) VALUES
    ('of old', 1, 10, '{"cluster": "fish", "model": "query", "eids": "1001,1002"}', 7,
     '2025-01-02 03:04:05', 10)"""


@pytest.fixture(params=["sqlite", "mariadb"])
def home(request, tmp_path):
    if request.param == "sqlite":
        return SqliteHome(tmp_path)
    return MariaHome(request.getfixturevalue("mariadb"))


async def listed(ledger, **wanted):
    total, operations = await ledger.operations(OperationFilter(**wanted))
    assert total == len(operations)
    return [operation.id for operation in operations]


class TestAdmission:
    def test_an_admitted_operation_reads_back_as_it_was_handed_in(self, home):
        async def scenario(ledger):
            new = new_operation(
                mode=Mode.SET, amount=-5, duplicates=Duplicates.LAST, dry_run=True, number=2**63 - 1
            )
            operation = await ledger.admit(new)
            assert operation == await ledger.operation(operation.id)
            assert operation == await ledger.operation_of_uuid(new.uuid)
            assert (operation.order, operation.counts.total) == (new.order, 5)
            assert (operation.state, operation.create_time) == (State.QUEUED, NOON)
            assert operation.original_name == "玩家 名单.csv"

        home.run(scenario)

    def test_the_row_that_others_read_is_filled(self, home):
        async def scenario(ledger):
            return await ledger.admit(new_operation(amount=3))

        operation = home.run(scenario)
        columns = "id, description, executed, handleres, operatorid, operatorname, sourcename, note, logname"
        (row,) = home.execute(f"SELECT {columns}, status FROM define_optgroup")
        assert tuple(row) == (
            operation.id,
            "停服补偿 100%_off",
            0,
            0,
            7,
            "王芳",
            f"{operation.id}-source.csv",
            "inc_1001,1002",
            f"{operation.id}-log.txt",
            0,
        )
        (conf,) = home.column("SELECT conf FROM define_optgroup")
        assert json.loads(conf) == {
            "cluster": "fish",
            "model": "modify",
            "mode": "inc",
            "eids": [1001, 1002],
            "filename": "玩家 名单.csv",
            "amount": 3,
            "duplicates": "allow",
            "dry_run": False,
        }

    def test_the_same_hand_in_twice_is_one_operation(self, home):
        async def scenario(ledger):
            new = new_operation()
            first, second = await ledger.admit(new), await ledger.admit(new)
            assert first == second
            assert await listed(ledger) == [first.id]

        home.run(scenario)

    def test_ids_go_above_the_files_that_are_there(self, home):
        async def scenario(ledger):
            before = await ledger.admit(new_operation())
            above = await ledger.admit(new_operation(minimum_id=500))
            after = await ledger.admit(new_operation())
            assert before.id < 500 <= above.id < after.id
            assert above.sourcename == f"{above.id}-source.csv"
            assert len(await listed(ledger)) == 3

        home.run(scenario)

    def test_hand_ins_at_once_get_ids_of_their_own(self, home):
        async def scenario(ledger):
            news = [new_operation(minimum_id=300, idempotency_key=f"key {n}") for n in range(40)]
            operations = await asyncio.gather(*map(ledger.admit, news))
            ids = {operation.id for operation in operations}
            assert len(ids) == 40
            assert min(ids) >= 300

        home.run(scenario)

    def test_many_are_admitted_together_or_not_at_all(self, home):
        async def scenario(ledger):
            taken = await ledger.admit(new_operation(idempotency_key="taken"))
            both = [new_operation(), new_operation(idempotency_key="taken")]
            with pytest.raises(KeyReusedError):
                await ledger.admit_many(both)
            assert await listed(ledger) == [taken.id]
            admitted = await ledger.admit_many([new_operation(), new_operation()])
            assert await listed(ledger) == [admitted[1].id, admitted[0].id, taken.id]

        home.run(scenario)

    def test_names_that_are_no_unicode_are_admitted(self, home):
        async def scenario(ledger):
            operation = await ledger.admit(
                new_operation(original_name="\udcb2\udce2.csv", description="\ud800")
            )
            assert (await ledger.operation(operation.id)).original_name == "??.csv"

        home.run(scenario)

    def test_hand_ins_are_found_by_their_uuids(self, home):
        async def scenario(ledger):
            operations = await ledger.admit_many([new_operation(), new_operation()])
            wanted = [operation.uuid for operation in operations]
            found = await ledger.operations_of_uuids([*wanted, str(uuid4())])
            assert found == {operation.uuid: operation.id for operation in operations}

        home.run(scenario)


class TestSameChanges:
    def test_operations_that_change_the_same_are_found_newest_first(self, home):
        async def scenario(ledger):
            news = [new_operation(change_hash=h) for h in ("a", "b", "a", None, "c")]
            old = new_operation(change_hash="a", create_time=NOON - timedelta(hours=1))
            a1, b, a2, _, _, a3 = await ledger.admit_many([*news, old])
            found = await ledger.same_changes(["a", "b", "x"], NOON)
            assert found == {"a": [a2.id, a1.id], "b": [b.id]}
            found = await ledger.same_changes(["a"], NOON - timedelta(hours=1))
            assert found == {"a": [a3.id, a2.id, a1.id]}

        home.run(scenario)

    @pytest.mark.parametrize(
        ("state", "counts"),
        [
            (State.QUEUED, Counts(total=5)),
            (State.RUNNING, Counts(total=5)),
            (State.SUCCEEDED, Counts(total=5, done=5, ok=5)),
            (State.CANCELLED, Counts(total=5, done=1, uncertain=1)),
            (State.FAILED, Counts(total=5, done=1, ok=1)),
        ],
    )
    def test_what_may_have_changed_something_counts(self, home, state, counts):
        async def scenario(ledger):
            operation = await ledger.admit(new_operation(change_hash="a"))
            if state is not State.QUEUED:
                await ledger.record(change_of(operation, state, counts=counts))
            assert await ledger.same_changes(["a"], NOON) == {"a": [operation.id]}

        home.run(scenario)

    @pytest.mark.parametrize("state", [State.CANCELLED, State.REJECTED, State.FAILED])
    def test_what_ended_before_it_changed_anything_does_not(self, home, state):
        async def scenario(ledger):
            operation = await ledger.admit(new_operation(change_hash="a"))
            await ledger.record(change_of(operation, state, counts=Counts(total=5)))
            assert await ledger.same_changes(["a"], NOON) == {}

        home.run(scenario)


class TestIdempotencyKeys:
    def test_a_key_finds_its_operation_and_content(self, home):
        async def scenario(ledger):
            operation = await ledger.admit(new_operation(idempotency_key="k" * 500, content_hash="c0ffee"))
            assert await ledger.find_key(7, "k" * 500, NOON) == (operation, "c0ffee")
            assert await ledger.find_key(7, "K" * 500, NOON) is None
            assert await ledger.find_key(8, "k" * 500, NOON) is None
            assert await ledger.find_key(7, "k" * 500, NOON + timedelta(seconds=1)) is None

        home.run(scenario)

    def test_of_two_hand_ins_under_one_key_at_once_one_is_admitted(self, home):
        async def scenario(ledger):
            news = [new_operation(idempotency_key="same") for _ in range(8)]
            outcomes = await asyncio.gather(*map(ledger.admit, news), return_exceptions=True)
            assert sum(isinstance(outcome, KeyReusedError) for outcome in outcomes) == 7
            assert len(await listed(ledger)) == 1

        home.run(scenario)

    def test_a_key_is_free_again_after_a_day(self, home):
        async def scenario(ledger):
            old = await ledger.admit(new_operation(idempotency_key="daily"))
            a_day_later = NOON + timedelta(hours=24, seconds=1)
            new = await ledger.admit(new_operation(idempotency_key="daily", create_time=a_day_later))
            found, _ = await ledger.find_key(7, "daily", NOON)
            assert found == new
            assert await ledger.operation(old.id) == old

        home.run(scenario)


class TestChildren:
    def test_an_operation_has_one_child_of_a_kind(self, home):
        async def scenario(ledger):
            parent = await ledger.admit(new_operation())
            retry = await ledger.admit(new_operation(parent=parent.id, kind="retry"))
            undo = await ledger.admit(new_operation(parent=parent.id, kind="undo"))
            with pytest.raises(WrongStateError):
                await ledger.admit(new_operation(parent=parent.id, kind="undo"))
            assert await ledger.child(parent.id, "retry") == retry
            assert await ledger.child(parent.id, "undo") == undo
            assert await ledger.child(retry.id, "undo") is None

        home.run(scenario)


class TestChanges:
    @pytest.mark.parametrize("state", [state for state in State if state is not State.FOREIGN])
    def test_a_state_is_written_with_its_numbers(self, home, state):
        async def scenario(ledger):
            operation = await ledger.admit(new_operation())
            for each in take_to(state):
                await ledger.record(change_of(operation, each, counts=five_done()))
            return await ledger.operation(operation.id)

        operation = home.run(scenario)
        assert operation.state is state
        (row,) = home.execute("SELECT status, executed, handleres FROM define_optgroup")
        assert tuple(row) == tuple(state.numbers)

    def test_a_change_is_written_whole(self, home):
        async def scenario(ledger):
            operation = await ledger.admit(new_operation())
            paused = change_of(
                operation, State.PAUSED, paused_by=PausedBy.CLUSTER, message="没有节点", counts=five_done()
            )
            await ledger.record(paused)
            read = await ledger.operation(operation.id)
            assert (read.paused_by, read.message, read.counts) == (PausedBy.CLUSTER, "没有节点", five_done())
            assert read.last_modify_time == NOON + timedelta(seconds=1)
            done = change_of(operation, State.PARTIAL, 2, resultname=f"{operation.id}-result.csv")
            await ledger.record(done)
            read = await ledger.operation(operation.id)
            assert (read.paused_by, read.message) == (None, None)
            assert read.resultname == f"{operation.id}-result.csv"

        home.run(scenario)

    def test_what_has_ended_stays_as_it_ended(self, home):
        async def scenario(ledger):
            operation = await ledger.admit(new_operation())
            ended = change_of(operation, State.PARTIAL, 9, counts=five_done(), resultname="1-result.csv")
            await ledger.record_many([change_of(operation, State.RUNNING), ended])
            for older in (State.RUNNING, State.PAUSED, State.SUCCEEDED):
                await ledger.record(change_of(operation, older, 5))
            read = await ledger.operation(operation.id)
            assert (read.state, read.counts, read.resultname) == (State.PARTIAL, five_done(), "1-result.csv")

        home.run(scenario)

    def test_an_end_may_be_written_again(self, home):
        async def scenario(ledger):
            operation = await ledger.admit(new_operation())
            ended = change_of(operation, State.SUCCEEDED, counts=five_done())
            await ledger.record(ended)
            await ledger.record(replace(ended, resultname="1-result.csv"))
            assert (await ledger.operation(operation.id)).resultname == "1-result.csv"

        home.run(scenario)

    def test_an_operation_of_another_database_is_not_written_to(self, home, caplog):
        async def scenario(ledger):
            operation = await ledger.admit(new_operation())
            stranger = replace(change_of(operation, State.FAILED), uuid=new_operation().uuid)
            await ledger.record(stranger)
            assert await ledger.operation(operation.id) == operation

        with caplog.at_level(logging.ERROR):
            home.run(scenario)
        assert "is not in the ledger" in caplog.text


class TestLists:
    def test_operations_are_listed_newest_first_by_pages(self, home):
        async def scenario(ledger):
            ids = [operation.id for operation in await ledger.admit_many([new_operation() for _ in range(7)])]
            total, first = await ledger.operations(OperationFilter(page=1, page_size=3))
            _, last = await ledger.operations(OperationFilter(page=3, page_size=3))
            assert total == 7
            assert [operation.id for operation in first] == ids[:3:-1]
            assert [operation.id for operation in last] == ids[:1]

        home.run(scenario)

    def test_pages_before_an_operation_do_not_shift(self, home):
        async def scenario(ledger):
            ids = [operation.id for operation in await ledger.admit_many([new_operation() for _ in range(5)])]
            _, first = await ledger.operations(OperationFilter(page_size=2))
            await ledger.admit(new_operation())
            total, second = await ledger.operations(OperationFilter(page_size=2, before=first[-1].id))
            assert total is None
            assert [operation.id for operation in first + second] == ids[:0:-1]
            assert await ledger.operations(OperationFilter(before=ids[0])) == (None, [])

        home.run(scenario)

    def test_a_last_page_knows_how_many_there_are_and_one_behind_it_too(self, home):
        async def scenario(ledger):
            await ledger.admit_many([new_operation() for _ in range(4)])
            for page, there in ((1, 3), (2, 1), (3, 0)):
                total, items = await ledger.operations(OperationFilter(page=page, page_size=3))
                assert (total, len(items)) == (4, there)

        home.run(scenario)

    @pytest.mark.parametrize("foreign", [False, True])
    def test_filters_hold_together_whether_others_write_there_or_not(self, home, foreign):
        async def scenario(ledger):
            if foreign:
                home.execute(FOREIGN)
            ours = await ledger.admit(new_operation(description="abc"))
            await ledger.admit_many([new_operation(cluster="label"), new_operation(operatorid=8)])
            asked = {"cluster": "fish", "operatorid": 7, "model": Model.MODIFY, "from_": NOON}
            assert await listed(ledger, **asked) == [ours.id]
            assert await listed(ledger, **asked, state=State.QUEUED, q="abc") == [ours.id]
            assert await listed(ledger, **asked, to=NOON) == []
            granted = Grants(frozenset(["fish"]), frozenset([1001, 1002]))
            assert await listed(ledger, operatorid=7, grants=granted) == [ours.id]
            assert await listed(ledger, grants=Grants(eids=frozenset([1001]))) == []

        home.run(scenario)

    def test_text_is_found_in_note_and_file_name(self, home):
        async def scenario(ledger):
            ours = await ledger.admit(new_operation(original_name="七月 名单.csv", eids=(4711,)))
            await ledger.admit(new_operation())
            assert await listed(ledger, q="七月") == [ours.id]
            assert await listed(ledger, q="inc_4711") == [ours.id]

        home.run(scenario)

    def test_each_filter_finds_its_operations(self, home):
        async def scenario(ledger):
            ours = await ledger.admit(new_operation())
            query = await ledger.admit(
                new_operation(model=Model.QUERY, mode=None, cluster="label", operatorid=8, description="")
            )
            late = await ledger.admit(
                new_operation(create_time=NOON + timedelta(days=1), state=State.AWAITING_APPROVAL)
            )
            assert await listed(ledger, operatorid=8) == [query.id]
            assert await listed(ledger, model=Model.QUERY) == [query.id]
            assert await listed(ledger, cluster="label") == [query.id]
            assert await listed(ledger, cluster="fish", operatorid=7) == [late.id, ours.id]
            assert await listed(ledger, state=State.AWAITING_APPROVAL) == [late.id]
            assert await listed(ledger, from_=NOON + timedelta(hours=1)) == [late.id]
            assert await listed(ledger, from_=NOON, to=NOON + timedelta(days=1)) == [query.id, ours.id]
            assert await listed(ledger, cluster="nowhere") == []

        home.run(scenario)

    @pytest.mark.parametrize(
        "q, found", [("100%", 1), ("%_", 1), ("0__", 0), ("补偿", 1), ("\\", 0), ("/", 0), ("😀", 0)]
    )
    def test_text_is_searched_as_it_stands(self, home, q, found):
        async def scenario(ledger):
            await ledger.admit_many([new_operation(), new_operation(description="1000 off")])
            assert len(await listed(ledger, q=q)) == found

        home.run(scenario)

    def test_rows_of_others_are_foreign(self, home):
        async def scenario(ledger):
            home.execute(FOREIGN)
            ours = await ledger.admit(new_operation())
            (foreign,) = await listed(ledger, state=State.FOREIGN)
            assert await listed(ledger, cluster="fish") == [ours.id, foreign]
            assert await listed(ledger, model=Model.QUERY) == [foreign]
            assert await listed(ledger, state=State.SUCCEEDED) == []
            operation = await ledger.operation(foreign)
            assert (operation.state, operation.uuid, operation.number) == (State.FOREIGN, None, None)
            assert operation.create_time == datetime(2025, 1, 2, 3, 4, 5, tzinfo=UTC)
            assert operation.order == Order(
                Model.QUERY, "fish", (1001, 1002), description="of old", operatorid=7
            )

        home.run(scenario)

    @pytest.mark.parametrize(
        "conf", ["NULL", "''", "'no json'", "'[1]'", '\'{"cluster": 3, "eids": {}, "mode": []}\'', "'{\"cl'"]
    )
    def test_foreign_rows_of_any_form_are_listed(self, home, conf):
        async def scenario(ledger):
            home.execute(f"INSERT INTO define_optgroup (conf, executed, status) VALUES ({conf}, NULL, 77)")
            (foreign,) = await listed(ledger, state=State.FOREIGN)
            assert (await ledger.operation(foreign)).state is State.FOREIGN
            assert await listed(ledger, cluster="fish") == []
            assert await listed(ledger, model=Model.MODIFY) == []

        home.run(scenario)

    def test_unfinished_operations_are_those_of_the_installation(self, home):
        async def scenario(ledger):
            first, done, paused = await ledger.admit_many([new_operation() for _ in range(3)])
            await ledger.admit(new_operation(installation="cd" * 16))
            home.execute("INSERT INTO define_optgroup (executed, status) VALUES (0, 0)")
            await ledger.record(change_of(done, State.FAILED))
            await ledger.record(change_of(paused, State.PAUSED, paused_by=PausedBy.PERSON))
            found = await ledger.unfinished(ORIGIN)
            assert [(each.id, each.state) for each in found] == [
                (first.id, State.QUEUED),
                (paused.id, State.PAUSED),
            ]

        home.run(scenario)

    def test_what_retention_has_removed_does_not_expire_again(self, home):
        async def scenario(ledger):
            old, young, running = await ledger.admit_many([new_operation() for _ in range(3)])
            await ledger.record(change_of(old, State.SUCCEEDED, 1))
            await ledger.record(change_of(young, State.SUCCEEDED, 100))
            await ledger.record(change_of(running, State.RUNNING, 1))
            before, now = NOON + timedelta(seconds=50), NOON + timedelta(days=180)
            assert [each.id for each in await ledger.expired(ORIGIN, before)] == [old.id]
            assert await ledger.expired("cd" * 16, before) == []
            await ledger.removed([old.id], now)
            assert await ledger.expired(ORIGIN, before) == []
            assert (await ledger.operation(old.id)).removed_time == now

        home.run(scenario)


class TestTimes:
    def test_others_read_times_in_the_configured_zone(self, home):
        async def scenario(ledger):
            operation = await ledger.admit(new_operation())
            await ledger.record(change_of(operation, State.RUNNING))
            assert (await ledger.operation(operation.id)).create_time == NOON
            assert await listed(ledger, from_=NOON, to=NOON + timedelta(seconds=1)) == [operation.id]

        home.run(scenario, time_zone="Asia/Shanghai")
        (row,) = home.execute("SELECT create_time, last_modify_time FROM define_optgroup")
        assert [str(each) for each in row] == ["2026-03-01 20:00:00.123456", "2026-03-01 20:00:01.123456"]

    def test_an_unknown_zone_is_a_configuration_error(self, home):
        with pytest.raises(ConfigurationError):
            Ledger(home.settings(time_zone="Mars/Base"))


class TestBesideOperations:
    def test_values_are_kept_and_replaced(self, home):
        async def scenario(ledger):
            assert await ledger.meta_get("drained") is None
            await ledger.meta_set("drained", {"fish": True})
            await ledger.meta_set("drained", {"fish": False, "千炮": 1})
            assert await ledger.meta_get("drained") == {"fish": False, "千炮": 1}

        home.run(scenario)

    def test_tokens_are_kept_until_they_are_revoked(self, home):
        async def scenario(ledger):
            token = TokenRecord("t1", "mis", "5ecret", Role.OPERATOR, NOON, NOON + timedelta(days=1), None)
            forever = TokenRecord("t2", "night job", "5ecret2", Role.VIEWER, NOON, None, None)
            await ledger.add_token(token)
            await ledger.add_token(token)
            await ledger.add_token(forever)
            assert await ledger.tokens() == [token, forever]
            assert await ledger.revoke_token("t1")
            assert not await ledger.revoke_token("t3")
            revoked = [each.id for each in await ledger.tokens() if each.revoked]
            assert revoked == ["t1"]
            assert "5ecret" not in repr(token)

        home.run(scenario)

    def test_definitions_are_replaced_and_foreign_columns_stay(self, home):
        async def scenario(ledger):
            fish = EidDefinition("fish", 1001, "积分", "分", 0, 2**40, False)
            await ledger.put_definitions(
                [ClusterTitle("fish", "捕鱼集群")], [fish, EidDefinition("fish", 1002)]
            )
            home.execute("ALTER TABLE define_nosdata_evt ADD COLUMN colour VARCHAR(10)")
            home.execute("UPDATE define_nosdata_evt SET colour = 'red'")
            changed = replace(fish, name="点数")
            await ledger.put_definitions([ClusterTitle("label", "")], [changed, EidDefinition("label", 5)])
            titles, eids = await ledger.definitions()
            assert titles == [ClusterTitle("label", "")]
            assert eids == [changed, EidDefinition("label", 5)]
            assert home.column("SELECT colour FROM define_nosdata_evt ORDER BY eid DESC") == ["red", None]

        home.run(scenario)

    def test_deeds_are_noted_once(self, home):
        async def scenario(ledger):
            entry = AuditEntry(NOON, "王芳", "cancel", "operation 12", {"reason": "错了"}, "192.0.2.7")
            await ledger.audit([entry])
            await ledger.audit([entry, replace(entry, entry="another")])
            await ledger.audit([replace(entry, entry="another")])

        home.run(scenario)
        assert home.column("SELECT who FROM eom_audit") == ["王芳", "王芳"]


class TestState:
    def test_a_ledger_comes_up_by_itself_and_says_so(self, home):
        async def main():
            async with home.ledger() as ledger:
                edges = []
                ledger.add_listener(lambda: edges.append(ledger.state.up))
                await until(lambda: ledger.state.up)
                assert edges == [True]
                await ledger.ping()
                assert ledger.state.latency_ms is not None

        asyncio.run(main())

    def test_a_ledger_without_tables_says_how_to_make_them(self, home):
        async def main():
            async with home.ledger(migrated=False) as ledger:
                with pytest.raises(LedgerUnavailableError, match="eomd migrate"):
                    await ledger.admit(new_operation())
                await until(lambda: ledger.state.up)
                await ledger.migrate()
                await ledger.admit(new_operation())

        asyncio.run(main())


@pytest.mark.parametrize(
    "url", ["postgresql://u:geheim@h/d", "geheim", "mysql+pymysql://u:geheim@h", "mysql://h/d"]
)
def test_an_address_that_is_no_ledger_is_refused_without_its_password(url):
    with pytest.raises(ConfigurationError) as refusal:
        Ledger(LedgerSettings(url))
    assert "geheim" not in str(refusal.value)


def test_settings_do_not_show_their_password():
    assert "geheim" not in repr(LedgerSettings("mysql+pymysql://u:geheim@h/d", "geheim"))
