import errno
import os

import pytest

from tidegate.config.faults import port_fault


@pytest.mark.parametrize(
    ("number", "path", "words"),
    [
        (errno.EADDRINUSE, "http.port", "is taken"),
        (errno.EACCES, "http.port", "needs more rights"),
        (errno.EADDRNOTAVAIL, "http.host", "no address of this machine"),
        (errno.EMFILE, "http.port", "Too many open files"),
    ],
)
def test_a_port_that_does_not_open_is_one_line_that_says_what_to_do(number, path, words):
    fault = port_fault("http.port", "TCP", "192.0.2.1", 80, OSError(number, os.strerror(number)))
    assert fault.path == path
    assert words in fault.reason and "\n" not in str(fault)
