"""The assets of other code locations that the assets here depend on.

For Dagster, an unknown key is an asset of another code location. After a typo in a key, an asset
waits for one that does not exist. So the definitions reject keys that are not declared here.
"""

import dagster as dg

UPSTREAM = {"ingestion": ("offline_orders", "orders", "users")}
"""Code location → keys of its assets. `tests/locations` compares them with its definitions."""


def reject_unknown(definitions: dg.Definitions) -> dg.Definitions:
    """Return the definitions.

    Raises:
        DagsterInvalidDefinitionError: an asset or a check depends on a key that is neither an
            asset here nor in `UPSTREAM`.
    """
    known = {dg.AssetKey(name) for names in UPSTREAM.values() for name in names}
    graph = definitions.resolve_asset_graph()
    used = graph.get_all_asset_keys() | {check.asset_key for check in graph.asset_check_keys}
    for key in sorted(used - graph.materializable_asset_keys - known):
        users = [
            each.to_user_string()
            for each in sorted(graph.materializable_asset_keys)
            if key in graph.get(each).parent_keys
        ]
        users += [
            check.to_user_string() for check in graph.asset_check_keys if check.asset_key == key
        ]
        raise dg.DagsterInvalidDefinitionError(
            f"Asset key {key.to_user_string()}, which {', '.join(users)} depends on, is unknown. "
            "It is neither an asset of this code location nor one of "
            f"{', '.join(sorted(each.to_user_string() for each in known))} in {__name__}.UPSTREAM. "
            "Fix the key, or add it there."
        )
    return definitions
