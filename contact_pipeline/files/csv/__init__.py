"""CSV text: from records to 10,000-row chunks, at memory speed. Knows no file, only bytes."""
