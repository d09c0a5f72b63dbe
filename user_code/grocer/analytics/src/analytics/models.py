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
"""dbt's groups of models; each group is a step."""


class Translator(DagsterDbtTranslator):
    """Properties of assets that dagster-dbt does not take from the YAML of the models."""

    def get_asset_key(self, dbt_resource_props: Mapping[str, Any]) -> dg.AssetKey:
        """Return the asset key; a source must declare the asset of another code location.

        Raises:
            DagsterInvalidDefinitionError: a source does not declare its asset key.
        """
        if dbt_resource_props["resource_type"] == "source":
            meta = dbt_resource_props["config"].get("meta", {})
            if not meta.get("dagster", {}).get("asset_key"):
                source = f"{dbt_resource_props['source_name']}.{dbt_resource_props['name']}"
                raise dg.DagsterInvalidDefinitionError(
                    f"Source {source} in {dbt_resource_props['original_file_path']} has no asset "
                    "key. Add the key of the asset that loads it: "
                    f"config: {{meta: {{dagster: {{asset_key: [{dbt_resource_props['name']}]}}}}}}"
                )
        return super().get_asset_key(dbt_resource_props)

    def get_description(self, dbt_resource_props: Mapping[str, Any]) -> str:
        """Return the description in the YAML, without the SQL."""
        return dbt_resource_props["description"]

    def get_automation_condition(
        self,
        dbt_resource_props: Mapping[str, Any],  # noqa: ARG002 - the same for all
    ) -> dg.AutomationCondition:
        """Request a model after its upstream assets, unless a blocking check failed."""
        return FOLLOW


def models(manifest: Path) -> list[dg.AssetsDefinition]:
    """Return the assets, one step for each group of models.

    Args:
        manifest: of the dbt project.

    Raises:
        DagsterInvalidDefinitionError: a source does not declare its asset key.
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
        # dbt writes beside the code by default, which is read-only in a pod.
        with tempfile.TemporaryDirectory(prefix="dbt-") as target, warehouse.exclusive():
            invocation = dbt.cli(
                ["build"], context=context, target_path=Path(target), raise_on_error=False
            )
            # Collected first: the iterator that adds metadata polls without a pause while dbt runs.
            events = DbtEventIterator(iter(list(invocation.stream())), invocation)
            yield from events.fetch_row_counts().fetch_column_metadata()
            if error := invocation.get_error():
                raise error

    return build
