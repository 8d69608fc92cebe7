"""What can be wrong with a file as a whole."""


class FileRefused(Exception):
    """The file cannot be imported at all. The message says what is wrong and what to do, for its owner.

    Attributes:
        code: a short, stable name of the reason.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
