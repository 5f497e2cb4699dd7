"""Networks from files: ONNX, LiteRT, OpenVINO and Keras, alone or in a folder as hubs publish them.

    PATH ── source: which files ── settings: how to use them ── check, in a process of its own:
    load, try, convert ── register: into the cache ──► runner: pictures → vectors

A folder may come from a stranger. Nothing is unpickled and no code of it runs; its files are opened
only by their plain names, links are not followed, and until a network has been tried in another
process, no library of this one reads it.
"""
