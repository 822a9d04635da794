"""The page of a study: answer, tables, pictures, and where each number comes from."""
