"""How good and how fast fourd is, in figures that anyone can make again."""
