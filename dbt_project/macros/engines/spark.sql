{#- What Spark writes otherwise than other engines; each macro is described where it is dispatched. The session's zone is UTC, and it
    takes `timestamp` for one without a zone (assets/warehouse/spark_build.py). -#}

{#- Spark takes the earlier of two instants with one clock reading. The offset that holds a day later gives the later one;
    it counts where the clock then reads what was asked: elsewhere it reads otherwise, or both are the same. -#}
{% macro spark__local_to_utc(local_timestamp, time_zone) -%}
    {%- set clock -%} (({{ local_timestamp }})::timestamp_ltz) {%- endset -%}
    {%- set early -%} to_utc_timestamp({{ clock }}, {{ time_zone }}) {%- endset -%}
    {%- set a_day_later -%} ({{ early }} + interval 1 day) {%- endset -%}
    {%- set late -%} ({{ clock }} - (from_utc_timestamp({{ a_day_later }}, {{ time_zone }}) - {{ a_day_later }})) {%- endset -%}
    (case when from_utc_timestamp({{ late }}, {{ time_zone }}) = {{ clock }} then {{ late }} else {{ early }} end)::timestamp_ntz
{%- endmacro %}

{% macro spark__clock_minutes(hhmm) -%}
    (({{ hhmm }}) div 100 * 60 + ({{ hhmm }}) % 100)
{%- endmacro %}

{% macro spark__plus_minutes(moment, minutes) -%}
    ({{ moment }}) + make_dt_interval(0, 0, 0, (60 * ({{ minutes }}))::decimal(18, 6))
{%- endmacro %}

{% macro spark__minutes_between(earlier, later) -%}
    timestampdiff(minute, date_trunc('minute', {{ earlier }}), date_trunc('minute', {{ later }}))
{%- endmacro %}

{% macro spark__iso_day_of_week(date) -%}
    (weekday({{ date }}) + 1)
{%- endmacro %}

{#- One pass over the rows of both sides in the order of their moments, which remembers the last row of `right`. Spark 4.3's own
    `asof join` looks for it from the first row of a key, for each row anew: it takes the square of the rows of a key. -#}
{% macro spark__asof_join(left, right, on, at, keep, take, how) -%}
    select
        {%- for column in keep %}
        {{ column }},
        {%- endfor %}
        {%- for name in take.values() %}
        asof_known.{{ name }} as {{ name }}{{ "," if not loop.last }}
        {%- endfor %}
    from (
        select
            *,
            last_value(asof_row, true) over (
                partition by {% for column in on %}asof_key_{{ loop.index }}, {% endfor %}true
                order by asof_moment, asof_is_asked
                rows between unbounded preceding and current row
            ) as asof_known
        from (
            select
                {%- for column in keep %}
                {{ column }},
                {%- endfor %}
                {%- for column in on %}
                {{ column }} as asof_key_{{ loop.index }},
                {%- endfor %}
                {{ at[0] }} as asof_moment,
                true as asof_is_asked,
                null as asof_row
            from {{ left }}
            union all
            select
                {%- for column in keep %}
                null as {{ column }},
                {%- endfor %}
                {%- for other in on.values() %}
                {{ other }} as asof_key_{{ loop.index }},
                {%- endfor %}
                {{ at[1] }} as asof_moment,
                false as asof_is_asked,
                struct({% for column, name in take.items() %}{{ column }} as {{ name }}{{ ", " if not loop.last }}{% endfor %}) as asof_row
            from {{ right }}
            where {{ at[1] }} is not null{% for other in on.values() %} and {{ other }} is not null{% endfor %}
        ) as asof_rows
    ) as asof_found
    where asof_is_asked{{ " and asof_known is not null" if how == "inner" }}
{%- endmacro %}

{% macro spark__materialized() -%}{%- endmacro %}
