"""Operations: what a person asks for, without its display."""
