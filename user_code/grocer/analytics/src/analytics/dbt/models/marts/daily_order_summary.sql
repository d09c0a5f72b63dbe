with days as (

    {{ dbt.date_spine(
        "day",
        "cast('" ~ var("first_day") ~ "' as date)",
        "cast('" ~ var("end_day") ~ "' as date)"
    ) }}

),

by_day as (

    select
        order_date,
        count(*) as orders,
        count(distinct user_id) as users,
        sum(items) as items,
        sum(amount) as amount,
        sum(discount) as discount
    from {{ ref("orders_cleaned") }}
    where
        order_date >= cast('{{ var("first_day") }}' as date)
        and order_date < cast('{{ var("end_day") }}' as date)
    group by order_date

),

known as (

    select min(order_date) as first_date, max(order_date) as last_date
    from by_day

)

select
    cast(days.date_day as date) as order_date,
    coalesce(by_day.orders, 0) as orders,
    coalesce(by_day.users, 0) as users,
    cast(coalesce(by_day.items, 0) as bigint) as items,
    {{ cents("coalesce(by_day.amount, 0)") }} as amount,
    {{ cents("coalesce(by_day.discount, 0)") }} as discount
from days
inner join known
    on cast(days.date_day as date) between known.first_date and known.last_date
left join by_day on cast(days.date_day as date) = by_day.order_date
