"""Files that firms upload, read strictly: bytes to rows (`reading`, `text_files`, `xlsx_files`), rows to batches."""
