"""Embed on the workers of a dask cluster; README.md says how to start one.

`cluster` connects to the workers, `embedder` checks them and gives them the files of a build,
`dispatch` sends the files in chunks, and `worker_plugin` is what runs on a worker.
"""
