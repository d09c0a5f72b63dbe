{#-
  A source, or no rows with the given columns (name: type) while its table is not there: a store that
  never lost its line has never sent a file.
-#}
{% macro source_if_there(source_name, table, columns) -%}
    {%- set relation = source(source_name, table) -%}
    {%- if execute and load_relation(relation) is none -%}
    (
        select
            {%- for name, type in columns.items() %}
            cast(null as {{ type }}) as {{ name }}{{ "," if not loop.last }}
            {%- endfor %}
        where false
    ) as {{ table }}
    {%- else -%}
    {{ relation }}
    {%- endif -%}
{%- endmacro %}
