"""Values to and from PostgreSQL's text and binary formats: decoders, encoders and literals."""
