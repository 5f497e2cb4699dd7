"""An index in a folder: immutable snapshots, and CURRENT, the name of the current one."""
