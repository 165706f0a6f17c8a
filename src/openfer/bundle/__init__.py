"""A trained model as a folder: `model.onnx`, `card.json`, and `model.safetensors` for those who train on."""
