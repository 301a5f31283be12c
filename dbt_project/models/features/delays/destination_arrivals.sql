-- grain: one scheduled flight; arrivals at its destination that were known when it was predicted
{{ rolling_delays(entity='destination', event='arrived', hours=var('short_window_hours')) }}
