"""Published EDM networks: from their pickle files to safetensors, without running any of it."""
