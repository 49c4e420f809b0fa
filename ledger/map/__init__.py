"""The subject map: what makes an answer provably complete, and what follows from it."""
