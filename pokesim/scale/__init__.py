"""Where one machine is not enough: the workers of a dask cluster read and embed."""
