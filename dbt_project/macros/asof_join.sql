{#- A query that gives each row of `left` the row of `right` that was last at its moment, of those with equal keys.

    left, right: relations, such as names of CTEs. `right` has at most one row for each key and moment.
    on: the keys, columns of `left` with their columns of `right`; a null equals none.
    at: the moments, a column of `left` and one of `right`.
    keep: columns of `left`. take: columns of `right`, with the names that they get.
    how: inner, or left where rows of `left` without such a row are kept. -#}
{% macro asof_join(left, right, on, at, keep, take, how='inner') -%}
    {{ adapter.dispatch('asof_join')(left, right, on, at, keep, take, how) }}
{%- endmacro %}
