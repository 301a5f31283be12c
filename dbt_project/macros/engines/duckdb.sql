{#- What DuckDB writes otherwise than other engines; each macro is described where it is dispatched. -#}
{% macro duckdb__local_to_utc(local_timestamp, time_zone) -%}
    (({{ local_timestamp }}) at time zone {{ time_zone }}) at time zone 'UTC'
{%- endmacro %}

{% macro duckdb__clock_minutes(hhmm) -%}
    (({{ hhmm }}) // 100 * 60 + ({{ hhmm }}) % 100)
{%- endmacro %}

{% macro duckdb__plus_minutes(moment, minutes) -%}
    ({{ moment }}) + to_seconds(60.0 * ({{ minutes }}))
{%- endmacro %}

{% macro duckdb__minutes_between(earlier, later) -%}
    date_diff('minute', {{ earlier }}, {{ later }})
{%- endmacro %}

{% macro duckdb__iso_day_of_week(date) -%}
    isodow({{ date }})
{%- endmacro %}

{% macro duckdb__asof_join(left, right, on, at, keep, take, how) -%}
    select
        {%- for column in keep %}
        before.{{ column }},
        {%- endfor %}
        {%- for column, name in take.items() %}
        known.{{ column }} as {{ name }}{{ "," if not loop.last }}
        {%- endfor %}
    from {{ left }} as before
    asof {{ how }} join {{ right }} as known
        on {% for column, other in on.items() %}before.{{ column }} = known.{{ other }} and {% endfor -%}
        before.{{ at[0] }} >= known.{{ at[1] }}
{%- endmacro %}

{% macro duckdb__materialized() -%}
    materialized
{%- endmacro %}
