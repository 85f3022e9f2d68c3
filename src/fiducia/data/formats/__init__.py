"""Files → records, one data set or format a file."""
