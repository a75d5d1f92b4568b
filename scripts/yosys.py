"""The part of the `yosys` command that Amaranth and our synthesis scripts use, on top of the pyosys library.

pyosys brings a native Yosys to every platform we support, but no command; set-up installs this file as `.venv/bin/yosys`.
"""

import os
import sys
import tempfile
from pathlib import Path

READERS = {"il": "read_rtlil", "rtlil": "read_rtlil", "v": "read_verilog", "sv": "read_verilog -sv", "json": "read_json"}


def commands_of(arguments, scratch):
    """Translate ``-p``, ``-s`` and file arguments to Yosys commands, files first as Yosys itself does."""
    files, commands = [], []
    rest = iter(arguments)
    for argument in rest:
        if argument == "-p":
            # A script splits at newlines and semicolons alike; a single command passed to the library does not.
            script = scratch / f"{len(commands)}.ys"
            script.write_text(next(rest) + "\n")
            commands.append(f"script {script}")
        elif argument == "-s":
            commands.append(f"script {next(rest)}")
        elif argument == "-":
            files.append("script -")
        elif argument.startswith("-"):
            sys.exit(f"yosys: option {argument} is not supported here; use -q, -p, -s, -V or a file")
        else:
            suffix = argument.rpartition(".")[2]
            if suffix not in READERS:
                sys.exit(f"yosys: cannot tell how to read {argument}; it must end in one of .{', .'.join(READERS)}")
            files.append(f"{READERS[suffix]} {argument}")
    return files + commands


def run(commands):
    """Run in a child process, because an error inside the library ends the process it happens in."""
    child = os.fork()
    if child == 0:
        from pyosys import libyosys

        design = libyosys.Design()
        for command in commands:
            design.run_pass(command)
        libyosys.log_flush()
        sys.exit(0)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if status < 0:
        print(f"yosys: ended by signal {-status}", file=sys.stderr)
    return status


def run_quietly(commands, log):
    """Leave only results on stdout and only warnings and errors on stderr (`tee -q` alone silences errors too)."""
    status = run([f"tee -q -a {log} {command}" for command in commands])
    for line in log.read_text().splitlines() if log.exists() else ():
        if "Warning: " in line or "ERROR: " in line:
            print(line, file=sys.stderr)
    return status


def main(arguments):
    if arguments[:1] in (["-V"], ["--version"]):
        from pyosys import libyosys

        print(libyosys.yosys_maybe_version())
        return 0
    with tempfile.TemporaryDirectory() as scratch:
        commands = commands_of([argument for argument in arguments if argument != "-q"], Path(scratch))
        return run_quietly(commands, Path(scratch) / "log") if "-q" in arguments else run(commands)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
