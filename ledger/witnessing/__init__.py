"""The log's side of witnessing: whom it asks, what it keeps, and how it says who has vouched."""
