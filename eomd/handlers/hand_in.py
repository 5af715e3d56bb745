"""POST /query and /modify: a file and what to do with it become an operation."""

from __future__ import annotations

import asyncio
from typing import Any

from eomd.errors import BadRequestError
from eomd.handlers.body import JsonBody, MultipartBody
from eomd.handlers.receiving import ReceivingHandler
from eomd.handlers.requests import ModifyHandIn, QueryConfig, QueryHandIn, validate
from eomd.handlers.viewing import ViewingHandler
from eomd.model import Operation

KEY_CHARACTERS_MAX = 255


class HandInHandler(ViewingHandler, ReceivingHandler):
    """Both models: the route's method says which config it takes."""

    parts = ("config", "file")
    takes_json = True
    _config: QueryConfig | None = None

    async def admit(self) -> None:
        await super().admit()
        self._key = self._take_key()

    def take_config(self, value: Any) -> None:
        """Refuse a wrong config before the file, where the config comes first."""
        config = self.signed(self._config_model(), value)
        self.asking().demand_order(config.order())
        if self._key is None:
            # one with a key may have been answered before, when its cluster was still there
            self.context.desk.check_order(config.order())
        self._config = config

    async def post(self) -> None:
        if isinstance(self.body, MultipartBody):
            operation, created = await self._hand_in_file()
        else:
            operation, created = await self._hand_in_upload()
        assert self._config is not None
        if self._config.wait_s:
            operation = await self._wait(operation, self._config.wait_s)
        await self.answer_new(operation, created)

    async def _wait(self, operation: Operation, seconds: float) -> Operation:
        """Return the operation when it has ended, the time is over, or the server drains."""
        loop = asyncio.get_running_loop()
        ending = loop.create_task(self.context.desk.wait(operation.id, seconds))
        draining = loop.create_task(self.context.draining.wait())
        await asyncio.wait({ending, draining}, return_when=asyncio.FIRST_COMPLETED)
        draining.cancel()
        if ending.done():
            return ending.result()
        ending.cancel()
        return await self.context.desk.operation(operation.id)

    async def _hand_in_file(self) -> tuple[Operation, bool]:
        assert self._config is not None
        async with self.received() as (path, original_name):
            return await self.context.desk.hand_in(
                self._config.order(), path, original_name, key=self._key, caller=self.asking()
            )

    async def _hand_in_upload(self) -> tuple[Operation, bool]:
        assert isinstance(self.body, JsonBody)
        value = self.body.value()
        if isinstance(value, dict) and "config" in value:
            value = {**value, "config": self.asking().sign(value["config"])}
        request = validate(self._json_model(), value)
        self.act_for(request.config)
        self._config = request.config
        return await self.context.desk.hand_in_upload(
            request.config.order(), request.sourcename, key=self._key, caller=self.asking()
        )

    def _config_model(self) -> type[QueryConfig]:
        model = self.method.config
        assert model is not None and issubclass(model, QueryConfig)
        return model

    def _json_model(self) -> type[QueryHandIn] | type[ModifyHandIn]:
        return QueryHandIn if self._config_model() is QueryConfig else ModifyHandIn

    def _take_key(self) -> str | None:
        key = self.request.headers.get("Idempotency-Key")
        if key is not None and not (1 <= len(key) <= KEY_CHARACTERS_MAX and key.isprintable()):
            raise BadRequestError(f"Idempotency-Key: expected 1 to {KEY_CHARACTERS_MAX} printable characters")
        return key
