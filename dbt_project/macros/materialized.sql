{#- Behind a CTE's `as`: that it is computed once and put aside, so that what follows does not wait with it in memory. -#}
{% macro materialized() -%}
    {{ adapter.dispatch('materialized')() }}
{%- endmacro %}
