"""The commands of `fourd`, a file each: functions with type hints, which cli.py hands to tyro."""
