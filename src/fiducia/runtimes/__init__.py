"""What computes a network: torch, onnxruntime, OpenVINO."""
