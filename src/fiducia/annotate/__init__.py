"""Bulk annotation: folders, shards and tables of photographs in, one Parquet row a face out."""
