-- grain: one scheduled flight, if any is known; departures from its origin known at its prediction
{{ rolling_delays(entity='origin', event='departed', hours=var('short_window_hours')) }}
