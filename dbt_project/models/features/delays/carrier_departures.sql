-- grain: one scheduled flight; departures of its carrier from its origin that were known when it was predicted
{{ rolling_delays(entity='carrier || origin', event='departed', hours=var('short_window_hours')) }}
