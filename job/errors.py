"""What can go wrong, classed by what to do about it.

NetanomalyError
├── ConfigError    fix the configuration (exit status 2)
├── NotAllowed     grant a role            (exit status 3)
├── Faulty         mend the detector       (exit status 1)
└── Failed         a retry may help        (exit status 1)
    └── Conflict   somebody else wrote the object meanwhile
"""


class NetanomalyError(Exception):
    """The root of everything this program raises on purpose; the message is written for a person."""

    exit_status = 1


class ConfigError(NetanomalyError):
    """A setting is wrong: the message names the value, the rule and the way out."""

    exit_status = 2


class NotAllowed(NetanomalyError):
    """A permission is missing: the message names what was refused and the role that grants it."""

    exit_status = 3


class Faulty(NetanomalyError):
    """A detector raised something, or answered what was not asked; the cause says where."""


class Failed(NetanomalyError):
    """Something outside failed; trying again may help."""


class Conflict(Failed):
    """The object in the store is not the one that was to be replaced."""
