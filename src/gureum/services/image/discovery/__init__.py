"""What a client asks before its first image: versions, schemas, stores, import methods."""
