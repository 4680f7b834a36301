"""An image's bytes: streamed in through the hashes and the inspector, streamed out whole or in part."""
