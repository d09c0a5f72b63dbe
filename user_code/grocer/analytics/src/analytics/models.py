"""dbt's models and tests as assets and asset checks."""

import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import dagster as dg
from dagster_dbt import DagsterDbtTranslator, dbt_assets
from dagster_dbt.core.dbt_event_iterator import DbtEventIterator

from analytics.automation import FOLLOW
from analytics.resources import Dbt, Warehouse
from bulkhead.steps import step_resources

GROUPS = ["staging", "marts"]
"""dbt's groups of models; each is a step."""


class Translator(DagsterDbtTranslator):
    """What Dagster is told of a model beyond what dagster-dbt takes from its YAML by itself."""

    def get_asset_key(self, dbt_resource_props: Mapping[str, Any]) -> dg.AssetKey:
        """Return the key; that of a source, which is another code location's asset, must be told.

        Raises:
            DagsterInvalidDefinitionError: it is not; nobody would provide such an asset.
        """
        if dbt_resource_props["resource_type"] == "source":
            meta = dbt_resource_props["config"].get("meta", {})
            if not meta.get("dagster", {}).get("asset_key"):
                source = f"{dbt_resource_props['source_name']}.{dbt_resource_props['name']}"
                raise dg.DagsterInvalidDefinitionError(
                    f"Source {source} in {dbt_resource_props['original_file_path']} does not say "
                    "which asset it is. Name the asset that loads it: "
                    f"config: {{meta: {{dagster: {{asset_key: [{dbt_resource_props['name']}]}}}}}}"
                )
        return super().get_asset_key(dbt_resource_props)

    def get_description(self, dbt_resource_props: Mapping[str, Any]) -> str:
        """Return what the YAML says, without the SQL."""
        return dbt_resource_props["description"]

    def get_automation_condition(
        self,
        dbt_resource_props: Mapping[str, Any],  # noqa: ARG002 - the same for all
    ) -> dg.AutomationCondition:
        """Follow what a model is made from, unless a test has found that to be wrong."""
        return FOLLOW


def models(manifest: Path) -> list[dg.AssetsDefinition]:
    """Return the assets, one step for each group of models.

    Args:
        manifest: what dbt made of its project.

    Raises:
        DagsterInvalidDefinitionError: a source does not say which asset it is.
    """
    return [_group(manifest, group) for group in GROUPS]


def _group(manifest: Path, group: str) -> dg.AssetsDefinition:
    @dbt_assets(
        manifest=manifest,
        select=f"group:{group}",
        name=group,
        dagster_dbt_translator=Translator(),
        op_tags=step_resources(memory="1Gi", cpu="1", max_memory="2Gi", timeout="15m"),
    )
    def build(context: dg.AssetExecutionContext, dbt: Dbt, warehouse: Warehouse) -> Iterator[Any]:
        # In a pod nothing can be written beside the code, where dbt would write.
        with tempfile.TemporaryDirectory(prefix="dbt-") as target, warehouse.exclusive():
            invocation = dbt.cli(
                ["build"], context=context, target_path=Path(target), raise_on_error=False
            )
            # The iterator that adds metadata spins while it waits, on a core that dbt could use.
            events = DbtEventIterator(iter(list(invocation.stream())), invocation)
            yield from events.fetch_row_counts().fetch_column_metadata()
            if error := invocation.get_error():
                raise error

    return build
