with orders as (

    select
        user_id,
        min(order_date) as first_order_date,
        max(order_date) as last_order_date,
        count(*) as orders,
        sum(amount) as amount
    from {{ ref("orders_cleaned") }}
    group by user_id

)

select
    users.user_id,
    users.age,
    users.income,
    users.home_ownership,
    users.marital_status,
    users.household_size,
    users.household_comp,
    users.kids_count,
    orders.first_order_date,
    orders.last_order_date,
    coalesce(orders.orders, 0) as orders,
    {{ cents("coalesce(orders.amount, 0)") }} as amount,
    coalesce(
        users.age, users.income, users.home_ownership, users.marital_status,
        users.household_size, users.household_comp, users.kids_count
    ) is not null as is_demographics_known
from {{ source("raw", "users") }} as users
left join orders on users.user_id = orders.user_id
