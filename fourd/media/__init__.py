"""Video, pictures and sound: files to clips, and back."""

from fourd.media.pictures import read_picture, write_picture
from fourd.media.reading import read
from fourd.media.writing import write_video

__all__ = ["read", "read_picture", "write_picture", "write_video"]
