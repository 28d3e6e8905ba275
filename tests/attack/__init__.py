"""Attack: damaged and hostile input by the thousand, each case in a process of its own, judged by one rule.

A case ends in a result, or in one line that names the file or the argument; never in a traceback, a hang, a gigabyte,
code that ran, a file outside the folder, or a value that is wrong without a word. `python -m tests.attack` runs many.
"""
