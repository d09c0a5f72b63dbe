{#- Money to the cent, so that a sum is the same whatever the order in which it was added up. -#}
{% macro cents(expression) -%}
    cast(round(cast({{ expression }} as numeric(18, 4)), 2) as double precision)
{%- endmacro %}
