# SPDX-License-Identifier: Apache-2.0
"""
Programs with one source file changed, made from a build directory: the changed file is compiled as the build compiles
it, and the program is linked as the build links it, with that object in place of the one that it replaces. The tree is
not touched.
"""
import json
import pathlib
import shlex
import subprocess


class NotCompiled(Exception):
    pass


def _without_dependency_file(command):
    kept = []
    skip = 0
    for word in command:
        if skip:
            skip -= 1
        elif word in ("-MQ", "-MF"):
            skip = 1
        elif word != "-MD":
            kept.append(word)
    return kept


class Build:
    def __init__(self, directory, root):
        self.directory = pathlib.Path(directory).resolve()
        self.root = pathlib.Path(root).resolve()
        self.compiling = {}
        for entry in json.loads((self.directory / "compile_commands.json").read_text()):
            source = (self.directory / entry["file"]).resolve()
            self.compiling.setdefault(source, (shlex.split(entry["command"]), entry["output"]))
        self.linking = {}

    def object_of(self, source):
        """What the build makes of a source, relative to the build directory."""
        return self.compiling[self.root / source][1]

    def compile(self, source, text, scratch):
        """The object of a source with other text; raises NotCompiled."""
        command, output = self.compiling[self.root / source]
        changed = scratch / pathlib.Path(source).name
        changed.write_text(text)
        result = scratch / (changed.stem + ".o")
        command = _without_dependency_file(command)
        command[command.index("-o") + 1] = str(result)
        command[command.index("-c") + 1] = str(changed)
        done = subprocess.run(command + ["-Wno-error"], cwd=self.directory, stderr=subprocess.PIPE, text=True)
        if done.returncode != 0:
            raise NotCompiled(done.stderr)
        return result

    def _link_command(self, program):
        if program not in self.linking:
            lines = subprocess.run(["ninja", "-C", self.directory, "-t", "commands", program], stdout=subprocess.PIPE,
                                   text=True, check=True).stdout.splitlines()
            self.linking[program] = shlex.split(lines[-1])
        return self.linking[program]

    def _members(self, archive):
        listed = subprocess.run(["ar", "t", archive], cwd=self.directory, stdout=subprocess.PIPE, text=True, check=True)
        return [(self.directory / member).resolve() for member in listed.stdout.splitlines()]

    def link(self, program, source, changed, scratch):
        """The program, with that object in place of the source's."""
        original = (self.directory / self.object_of(source)).resolve()
        result = scratch / pathlib.Path(program).name
        command = []
        for word in self._link_command(program):
            if word.endswith(".a") and original in (members := self._members(word)):
                archive = scratch / pathlib.Path(word).name
                archive.unlink(missing_ok=True)
                subprocess.run(["ar", "rcsT", archive] + [changed if m == original else m for m in members], check=True)
                word = str(archive)
            command.append(word)
        command[command.index("-o") + 1] = str(result)
        subprocess.run(command, cwd=self.directory, check=True)
        return result
