select
    user_id,
    cast({{ dbt.date_trunc("week", "order_date") }} as date) as week_start,
    count(*) as orders,
    cast(sum(items) as bigint) as items,
    {{ cents("sum(amount)") }} as amount
from {{ ref("orders_cleaned") }}
group by 1, 2
