"""Present results as text, tables, pictures, HTML pages and terminal previews."""
