"""The type checker of the pytest import hook: as strict as ``fourd.checked``, and no stricter."""

from beartype import BeartypeConf, beartype

checker = beartype(conf=BeartypeConf(is_pep484_tower=True))
