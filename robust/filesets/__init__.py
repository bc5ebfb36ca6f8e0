"""Folders of files that other tools and people expect."""

from robust.facade import lazy_names

__all__ = ["Testing", "TestingFolder", "advice", "parse_testing", "read_testing", "write_testing"]

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "Testing": "robust.filesets.testing_options",
        "TestingFolder": "robust.filesets.testing_folder",
        "advice": "robust.filesets.advising",
        "parse_testing": "robust.filesets.testing_reader",
        "read_testing": "robust.filesets.testing_reader",
        "write_testing": "robust.filesets.testing_folder",
    },
)
