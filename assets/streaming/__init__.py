"""Streams: files that keep arriving, judged by a declaration and scored by its champion, in Spark Structured Streaming.

And labels that keep arriving, which a champion learns (`online_updates`), without Spark.
`spark_job` is the program that runs in Spark's own environment; nothing here imports Spark when it is imported.
"""
