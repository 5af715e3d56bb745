"""GET /approval, GET /recipes: rules of the configuration as they are in force."""

from __future__ import annotations

from eomd.handlers.base import ApiHandler
from eomd.handlers.console_views import approval_view, recipe_view
from eomd.handlers.requests import Nothing


class ApprovalRulesHandler(ApiHandler):
    async def get(self) -> None:
        self.parameters(Nothing)
        self.answer(approval_view(self.context.desk.tools.rules.approval, self.asking().grants))


class RecipesHandler(ApiHandler):
    async def get(self) -> None:
        self.parameters(Nothing)
        rules, grants = self.context.desk.tools.rules, self.asking().grants
        recipes = [recipe_view(name, recipe) for name, recipe in sorted(rules.recipes.items())]
        granted = [
            each
            for each in recipes
            if grants.has_cluster(each["cluster"]) and not grants.missing_eids(each["eids"])
        ]
        self.answer({"enabled": rules.inbox_enabled, "path": str(rules.inbox), "recipes": granted})
