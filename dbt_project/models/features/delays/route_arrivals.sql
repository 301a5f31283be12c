-- grain: one scheduled flight, if any is known; arrivals of its carrier on its route known at its prediction
{{ rolling_delays(entity='carrier || origin || destination', event='arrived', hours=24 * var('long_window_days')) }}
