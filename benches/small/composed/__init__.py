"""Operations that are made of several statements, or of querysets in querysets."""
