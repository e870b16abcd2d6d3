"""Compile the routes once for all applications of a test process.

Werkzeug compiles two functions for each rule of an application, to build URLs, which is
four fifths of the time that ``create_app`` takes, and almost every test makes an
application of its own.
"""

from __future__ import annotations

from werkzeug.routing import Rule


def compile_rules_once() -> None:
    """Keep the functions that werkzeug compiles, for rules that are the same."""
    compile_builder = getattr(Rule, "_compile_builder", None)  # not a public name
    if compile_builder is None:
        return
    compiled = {}

    def reuse(rule, append_unknown=True):
        if rule.defaults:  # their values are compiled into the function
            return compile_builder(rule, append_unknown)
        key = rule.rule, *rule._trace, append_unknown
        if key not in compiled:
            compiled[key] = compile_builder(rule, append_unknown)
        return compiled[key]

    Rule._compile_builder = reuse
