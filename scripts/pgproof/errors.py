"""The one exception that a user is meant to see: an expected error is two lines, no traceback.

raise UserError("no server answers on /run/postgresql: start one, or set DATABASE_URL")
"""


class UserError(Exception):
    """An expected error: what happened, why, and how to mend it, in one or two lines.

    ``exit_code`` is what the command ends with: 1 for a failure, 2 for wrong usage.
    """

    def __init__(self, message: str, exit_code: int = 1) -> None:
        super().__init__(message)
        self.exit_code = exit_code
