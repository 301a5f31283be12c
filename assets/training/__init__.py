"""Training: tuning, candidates, cross-fitting, and the conversion to ONNX."""
