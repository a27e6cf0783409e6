"""Pinhole cameras, rigid motions, camera paths and time: pure functions on tensors."""
