"""Looking into data and networks: previews, saliency, suspicious labels."""
