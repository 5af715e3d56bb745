"""What a folder says of its operation comes back as it was written, or is refused; never something else."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from eomd.errors import FolderDamagedError, NewerFormatError
from eomd.model import (
    EID_MAX,
    EIDS_MAX,
    VALUE_MAX,
    VALUE_MIN,
    Duplicates,
    Mode,
    Model,
    Order,
    PausedBy,
    RowStatus,
    State,
)
from eomd.storage.checkpoint import Checkpoint, Manifest, compose_operation, count_rows
from eomd.storage.files import DataFolder, parse_stored_name, write_atomically

TEXT = st.text(st.characters(exclude_categories=[]), max_size=20)
TIMES = st.datetimes(timezones=st.sampled_from([UTC, timezone(timedelta(hours=8))]))
ORDERS = st.builds(
    Order,
    model=st.sampled_from(Model),
    cluster=TEXT,
    eids=st.lists(st.integers(1, EID_MAX), max_size=EIDS_MAX).map(tuple),
    mode=st.none() | st.sampled_from(Mode),
    amount=st.none() | st.integers(VALUE_MIN, VALUE_MAX),
    duplicates=st.sampled_from(Duplicates),
    dry_run=st.booleans(),
    description=TEXT,
    operatorid=st.integers(0, VALUE_MAX),
    operatorname=TEXT,
)
MANIFESTS = st.builds(
    Manifest,
    uuid=st.uuids().map(str),
    number=st.integers(1, VALUE_MAX),
    order=ORDERS,
    rows=st.integers(1, 2**32 - 1),
    original_name=TEXT,
    create_time=TIMES,
    parent=st.none() | st.integers(1, 2**31 - 1),
    kind=st.none() | st.sampled_from(["undo", "retry", "commit"]),
)
STATUSES = st.dictionaries(st.sampled_from(RowStatus).map(int), st.integers(1, 2**32 - 1))
CHECKPOINTS = st.builds(
    Checkpoint,
    state=st.sampled_from(State),
    paused_by=st.none() | st.sampled_from(PausedBy),
    message=st.none() | TEXT,
    rows=st.integers(0, 2**32 - 1),
    partial_bytes=st.integers(0, 2**40),
    statuses=STATUSES,
    started=st.booleans(),
    sent_until=st.none() | st.integers(0, 2**32 - 1),
    protected=st.booleans(),
    cancelling=st.booleans(),
    resultname=st.none() | st.just("12-result.csv"),
    modified=st.none() | TIMES,
)
on_one_folder = settings(
    max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@on_one_folder
@given(MANIFESTS)
def test_a_manifest_comes_back(tmp_path: Path, manifest: Manifest) -> None:
    manifest.save(tmp_path / "manifest.json")
    assert Manifest.load(tmp_path / "manifest.json") == manifest


@on_one_folder
@given(CHECKPOINTS)
def test_a_checkpoint_comes_back(tmp_path: Path, checkpoint: Checkpoint) -> None:
    checkpoint.save(tmp_path / "checkpoint.json")
    assert Checkpoint.load(tmp_path / "checkpoint.json") == checkpoint
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint.json"]


@given(MANIFESTS, CHECKPOINTS)
def test_an_operation_is_what_its_folder_says(manifest: Manifest, checkpoint: Checkpoint) -> None:
    operation = compose_operation(12, manifest, checkpoint)
    assert (operation.order, operation.number) == (manifest.order, manifest.number)
    assert (operation.state, operation.paused_by) == (checkpoint.state, checkpoint.paused_by)
    assert parse_stored_name(operation.sourcename or "") == 12
    assert parse_stored_name(operation.logname or "") == 12


@given(STATUSES)
def test_every_row_counts_once(statuses: dict[int, int]) -> None:
    counts = count_rows(statuses, sum(statuses.values()))
    assert counts.ok + counts.failed + counts.uncertain == counts.done
    waiting = statuses.get(RowStatus.NOT_SENT, 0) + statuses.get(RowStatus.PENDING, 0)
    assert counts.done + waiting == counts.total
    assert counts.uncertain == statuses.get(RowStatus.UNCERTAIN, 0)
    ok = (RowStatus.OK, RowStatus.REPLAYED, RowStatus.SUPERSEDED)
    assert counts.ok == sum(statuses.get(status, 0) for status in ok)


def a_checkpoint(folder: Path) -> Path:
    path = folder / "checkpoint.json"
    Checkpoint(State.RUNNING, statuses={0: 5}, rows=5, modified=datetime.now(UTC)).save(path)
    return path


@pytest.mark.parametrize("changed", [{"state": "flying"}, {"statuses": [1]}, {"modified": "x"}, {"more": 1}])
def test_a_field_that_is_wrong_is_damage(tmp_path: Path, changed: dict[str, object]) -> None:
    path = a_checkpoint(tmp_path)
    path.write_text(json.dumps(json.loads(path.read_text()) | changed))
    with pytest.raises(FolderDamagedError, match="checkpoint"):
        Checkpoint.load(path)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"null", b'"x"', b"{}", b"\xff\xfe"])
@pytest.mark.parametrize("kind", [Manifest, Checkpoint])
def test_what_is_no_such_file_is_damage(
    tmp_path: Path, kind: type[Manifest | Checkpoint], content: bytes
) -> None:
    path = tmp_path / "file.json"
    path.write_bytes(content)
    with pytest.raises(FolderDamagedError, match="file"):
        kind.load(path)


def test_a_missing_file_is_damage_and_a_locked_one_is_not(tmp_path: Path) -> None:
    with pytest.raises(FolderDamagedError, match="missing"):
        Checkpoint.load(tmp_path / "checkpoint.json")
    (tmp_path / "checkpoint.json").mkdir()
    with pytest.raises(IsADirectoryError):
        Checkpoint.load(tmp_path / "checkpoint.json")


def test_what_a_newer_eomd_wrote_is_not_guessed_at(tmp_path: Path) -> None:
    path = a_checkpoint(tmp_path)
    path.write_text(json.dumps(json.loads(path.read_text()) | {"format": 2, "more": 1}))
    with pytest.raises(NewerFormatError):
        Checkpoint.load(path)


def test_a_file_is_replaced_as_a_whole(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_atomically(path, b"one")
    # what a power cut left beside it
    (tmp_path / ".file.new").write_bytes(b"torn and longer")
    write_atomically(path, b"two")
    assert path.read_bytes() == b"two"
    assert [each.name for each in tmp_path.iterdir()] == ["file"]


# --- the data folder


def folder_of(tmp_path: Path) -> DataFolder:
    data = DataFolder(tmp_path / "data")
    data.create()
    return data


def test_a_hand_in_gets_its_id_once_though_it_is_cut_off_on_the_way(tmp_path: Path) -> None:
    data = folder_of(tmp_path)
    staged = data.stage("11111111-1111-4111-8111-111111111111")
    staged.source.write_bytes(b"1\n")
    # cut off behind the first of the two names
    data.source(5).hardlink_to(staged.source)
    folder = data.admit(staged, 5)
    assert data.source(5).read_bytes() == b"1\n"
    assert (folder.path.name, folder.source.exists(), data.staged()) == ("5", False, [])
    assert (data.highest_id, data.unfinished()) == (5, [5])
    folder.ended.touch()
    assert data.unfinished() == []


def test_the_highest_id_is_that_of_any_file(tmp_path: Path) -> None:
    data = folder_of(tmp_path)
    assert data.highest_id == 0
    data.operation(7).path.mkdir()
    data.log(9).touch()
    (data.files / "99-other.csv").touch()
    data.create()
    assert data.highest_id == 9


def test_cut_off_uploads_are_dropped_and_nothing_else(tmp_path: Path) -> None:
    data = folder_of(tmp_path)
    data.receiving().write_bytes(b"half")
    kept = [data.new_upload(), data.source(1), data.stage("11111111-1111-4111-8111-111111111111").rows]
    for path in kept:
        path.write_bytes(b"1\n")
    data.create()
    assert list(data.uploading.iterdir()) == []
    assert [path.read_bytes() for path in kept] == [b"1\n"] * 3


@pytest.mark.parametrize("name", ["upload-x.csv", "../upload.csv", "upload-" + "0" * 36 + ".csv/..", ""])
def test_a_name_that_is_no_uploads_leads_nowhere(tmp_path: Path, name: str) -> None:
    assert folder_of(tmp_path).upload(name) is None


def test_the_origin_stays(tmp_path: Path) -> None:
    data = folder_of(tmp_path)
    origin = data.origin()
    assert len(origin) == 16
    assert DataFolder(data.path).origin() == origin
