"""Video: frames in, tracked faces, frames out."""
