"""A dialect of the tests' own: one JSON object a line. Nothing outside a codec may notice the difference."""

import json
from itertools import groupby

import numpy as np

from eomd.errors import FrameError
from eomd.evt.codec import Capability, Fault, Ponged, Refused, Replied, Welcomed, WentAway


class LinesCodec:
    name = "lines"

    def open_session(self, cluster, origin):
        return LinesSession(cluster, origin)


class LinesSession:
    def __init__(self, cluster, origin):
        self._cluster, self._origin = cluster, origin.hex()
        self._kept = b""
        self._rows_max = 1

    def encode_hello(self):
        return _line({"hello": self._cluster, "origin": self._origin})

    def encode_ping(self, request):
        return _line({"ping": request})

    def rows_per_request_max(self, head):
        return self._rows_max

    def encode_requests(self, head, rows, rows_per_request, first_request):
        starts = range(0, len(rows), rows_per_request)
        return b"".join(
            _line(
                self._request(head, rows.pick(slice(start, start + rows_per_request)), first_request + number)
            )
            for number, start in enumerate(starts)
        )

    def _request(self, head, rows, request):
        asked = {
            "ask": request,
            "eids": head.eids,
            "index": rows.index.tolist(),
            "users": rows.users.tolist(),
        }
        if head.mode:
            asked |= {"mode": head.mode, "operation": head.operation, "amounts": rows.amounts.tolist()}
        return asked

    def receive(self, data):
        *lines, self._kept = (self._kept + bytes(data)).split(b"\n")
        try:
            events = [self._event(json.loads(line)) for line in lines]
        except (ValueError, KeyError, TypeError) as error:
            raise FrameError(f"not a line of the dialect: {error}") from error
        return _gather(events)

    def _event(self, said):
        if "welcome" in said:
            self._rows_max = said["rows_max"]
            can = Capability(sum(Capability[name].value for name in said["can"]))
            return Welcomed(said["welcome"], can, said["rows_max"], said["inflight_max"])
        if "answer" in said:
            after = None if said["after"] is None else np.array(said["after"], np.int64)
            return Replied(
                np.array([said["answer"]], np.uint32),
                np.array(said["status"], np.uint8),
                np.array(said["detail"], np.uint8),
                np.array(said["before"], np.int64),
                after,
            )
        if "pong" in said:
            return Ponged(said["pong"])
        if "away" in said:
            return WentAway(said["overloaded"], said["away"])
        return Refused(said["request"], Fault[said["error"]], Fault[said["error"]].value, said["message"])


def _line(said):
    return json.dumps(said).encode() + b"\n"


def _gather(events):
    """Make one event of answers of one shape that came together."""
    gathered = []
    for shape, group in groupby(events, _shape):
        same = list(group)
        if not shape or len(same) == 1:
            gathered += same
            continue
        after = None if same[0].after is None else np.concatenate([event.after for event in same])
        columns = [np.concatenate([getattr(e, name) for e in same]) for name in _COLUMNS]
        gathered.append(Replied(*columns, after))
    return gathered


def _shape(event):
    return isinstance(event, Replied) and (event.before.shape, event.after is None)


_COLUMNS = ("requests", "status", "detail", "before")
