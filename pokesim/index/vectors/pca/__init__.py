"""``search.faiss`` of a ``pca`` index: exact, while reading a small part of the vectors' bytes.

Each vector has a code: its first coordinates after a rotation to the principal directions, and the
length of the rest, in 8 bits each, or in 16 where vectors differ by little. Such coordinates make
no distance longer, and the rounding moves no vector by more than a distance r that is measured when
the file is written. So every vector whose code is farther from a query than its k-th nearest vector
by more than r is certainly farther; the few others are compared by the vectors themselves. The
rotation spreads the variance evenly among the coordinates that are kept, since all have one step
size.

- `codes`: what a code is;
- `fit`: the rotation, and how many coordinates are kept;
- `write`: makes the codes of an index, or adds to those of the previous snapshot;
- `search`: finds the nearest vectors by them.

The idea of certain bounds from quantised vectors is that of the VA-file (Weber, Schek and Blott,
"A Quantitative Analysis and Performance Study for Similarity-Search Methods in High-Dimensional
Spaces", VLDB 1998).

`faiss.read_index` opens the file. FAISS itself writes it only from memory and reads all of it into
memory, so we stream it when writing and memory-map it when reading. Layout (little-endian), after
faiss/impl/index_write.cpp, of an IndexScalarQuantizer of QT_8bit_direct_signed (8) or QT_fp16 (4):

    "IxSQ"  int32 h  int64 n  int64 2**20  int64 2**20  uint8 trained  int32 metric
    int32 8 or 4  int32 0  float32 0  uint64 h  uint64 bytes of a code  uint64 0  uint64 of all
    codes (n, h): uint8, each more by 128, or float16
"""

from pokesim.index.vectors.flat import SEARCH_FILE

__all__ = ["ROTATION_FILE", "SEARCH_FILE"]

ROTATION_FILE = "rotation.npy"
"""Beside `SEARCH_FILE`. Float32 (d + 3, h): the step size and, if h > 1, the number of vectors
fitted to; r; what is subtracted from the coordinates; the directions as columns, and last the mean.
"""
