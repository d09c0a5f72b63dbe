with received as (

    select
        order_id, user_id, store_id, ordered_at, items, amount, discount,
        false as is_offline
    from {{ source("raw", "orders") }}

    union all

    select
        order_id, user_id, store_id, ordered_at, items, amount, discount,
        true as is_offline
    from {{ source_if_there("raw", "offline_orders", {
        "order_id": "bigint",
        "user_id": "bigint",
        "store_id": "bigint",
        "ordered_at": "timestamp",
        "items": "bigint",
        "amount": "double precision",
        "discount": "double precision",
    }) }}

),

ranked as (

    -- An order that came twice counts once: what the database says goes before a store's file, and
    -- among equals the latest.
    select
        *,
        row_number() over (
            partition by order_id
            order by is_offline, ordered_at desc, amount desc, items desc
        ) as place
    from received
    where amount > 0 and items > 0

)

select
    order_id,
    user_id,
    store_id,
    cast(ordered_at as date) as order_date,
    cast(ordered_at as timestamp) as ordered_at,
    cast(items as bigint) as items,
    {{ cents("amount") }} as amount,
    {{ cents("discount") }} as discount,
    is_offline
from ranked
where place = 1
