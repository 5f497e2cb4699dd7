"""An index on a Milvus server: the same pictures, vectors and manifest, searched by Milvus.

An address ``milvus://HOST:PORT/NAME`` names an alias. It stands for the collection of the snapshot
that counts, one of several ``NAME_TIME``, which never change once they are filled. Beside each are
``NAME_TIME_files``, with the manifest and what else the snapshot has as a file, and, of a tuned
index, ``NAME_TIME_plain``, the vectors before the learned metric. indexes/README.md describes them.
"""
