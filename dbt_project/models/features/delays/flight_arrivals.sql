-- grain: one scheduled flight, if any is known; arrivals of its carrier, number and origin known at its prediction
{{ rolling_delays(entity='carrier || flight_number || origin', event='arrived', hours=24 * var('long_window_days')) }}
