-- grain: one scheduled flight; arrivals of its carrier, number and origin that were known when it was predicted
{{ rolling_delays(entity='carrier || flight_number || origin', event='arrived', hours=24 * var('long_window_days')) }}
