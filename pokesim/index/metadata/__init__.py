"""A table that describes pictures, and the filter language over its columns."""
