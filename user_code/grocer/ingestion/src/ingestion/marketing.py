"""The assets of marketing: its campaigns in the warehouse."""

import dagster as dg

from bulkhead.steps import step_resources
from ingestion.campaign_connector import read_campaigns
from ingestion.resources import CampaignServiceResource, DatabaseResource
from ingestion.shop import OWNERS, RETRIES, table_metadata
from ingestion.tables import CAMPAIGNS


@dg.asset(
    group_name="marketing",
    owners=OWNERS,
    kinds={"airbyte", "sql"},
    tags={"domain": "marketing"},
    code_version="1",
    retry_policy=RETRIES,
    op_tags=step_resources(memory="640Mi", cpu="1", max_memory="1Gi"),
)
def campaigns(
    campaign_service: CampaignServiceResource, warehouse: DatabaseResource
) -> dg.MaterializeResult:
    """Marketing's campaigns: type, dates and number of households.

    A low-code Airbyte connector reads all of them from marketing's service.
    """
    rows = read_campaigns(campaign_service.url)
    with warehouse.database().connect() as connection:
        connection.replace(CAMPAIGNS, rows)
        return dg.MaterializeResult(
            metadata={**table_metadata(connection, CAMPAIGNS), "service": campaign_service.url}
        )
