"""The FAISS factory strings that ``--search`` takes, checked before FAISS sees them.

FAISS parses its factory strings leniently, and ends the process on some of those that it accepts
(``HNSW0``), or takes all memory (``IVF99999999999,Flat``). So we accept a part of its language that
covers what is useful, with bounds for each number:

    search     = [transforms] (coded | [ivf] code) [" " parameters]
    transforms = (OPQm | OPQm_d | PCAd | PCARd | RRd | L2norm) ","  …
    ivf        = (IVFn | IVFn_HNSWm) ","
    code       = Flat | SQ4 | SQ6 | SQ8 | SQfp16 | PQm | PQmxb
    graph      = HNSWm | HNSWm,Flat | HNSWm,SQ8 | HNSWm,PQm
    parameters = (nprobe | efSearch | quantizer_efSearch) = number "," …
"""
