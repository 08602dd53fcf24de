"""The errors a caller or a user can act on: what happened, to which thing, the next step."""


class ClsbenchError(Exception):
    """Base of everything this package raises on purpose; `exit_code`: of the command line."""

    exit_code = 1


class EnvironmentProblem(ClsbenchError):
    """The machine lacks something: interpreter, port, curve, free socket."""

    exit_code = 3


class BadInput(ClsbenchError):
    """A file, option or message from outside is wrong; the text names the place and what to do."""

    exit_code = 2


class PeerRefused(ClsbenchError):
    """The other side understood and said no; the text carries its reason."""


class PeerSilent(ClsbenchError):
    """The other side did not answer in time; the text says who, how long and how often."""
