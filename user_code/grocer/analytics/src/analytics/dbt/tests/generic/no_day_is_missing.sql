{#- Between the first day and the last, every day has a row. -#}
{% test no_day_is_missing(model, column_name) %}
select days, expected
from (
    select
        count(distinct {{ column_name }}) as days,
        {{ dbt.datediff("min(" ~ column_name ~ ")", "max(" ~ column_name ~ ")", "day") }} + 1
            as expected
    from {{ model }}
) as counted
where days <> expected
{% endtest %}
