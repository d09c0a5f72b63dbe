"""The definitions of this code location."""

import dagster as dg

from ingestion import marketing, shop, stores
from ingestion.resources import current_environment, resources

open_the_shop = dg.define_asset_job(
    "open_the_shop",
    selection=dg.AssetSelection.assets(
        shop.shop_database, shop.users, marketing.campaigns, stores.offline_orders
    ),
    description="Fill the shop's database, and load all assets except the orders.",
)

defs = dg.Definitions(
    assets=[
        shop.shop_database,
        shop.users,
        shop.orders,
        shop.order_lines,
        marketing.campaigns,
        stores.offline_orders,
    ],
    asset_checks=[*shop.checks_of_orders, *shop.checks_of_users],
    jobs=[open_the_shop, shop.load_orders, stores.load_offline_orders],
    schedules=[shop.nightly_orders],
    sensors=[stores.dropped_files],
    resources=resources(current_environment()),
)
