-- grain: one scheduled flight; arrivals of its carrier on its route that were known when it was predicted
{{ rolling_delays(entity='carrier || origin || destination', event='arrived', hours=24 * var('long_window_days')) }}
