"""An index on a Milvus server: the same pictures, vectors and manifest as in a folder.

An address ``milvus://HOST:PORT/NAME`` names an alias, which points to the collection of the current
snapshot, ``NAME_TIME``. A collection never changes once it is filled. Each snapshot also has the
collection ``NAME_TIME_files``, with its manifest and other files, and, if the index is tuned,
``NAME_TIME_plain``, with its base vectors: those before the learned metric. indexes/README.md
describes their fields.
"""
