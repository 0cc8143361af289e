# SPDX-License-Identifier: Apache-2.0
"""The programs that the demo starts, and that never outlive it: each is in a session of its own, so that Ctrl-C reaches
only the demo, which ends them in order; and the kernel ends them should the demo be killed."""
import asyncio
import ctypes
import signal

PATIENCE = 30  # seconds, after which what should have come will not
LINE_MAX = 1 << 20
SAID_MAX = 30  # lines that are kept to be shown should it end badly
PR_SET_PDEATHSIG = 1  # linux/prctl.h
LIBC = ctypes.CDLL(None)


class Failure(Exception):
    """Why the demo cannot go on, in words for whoever started it."""


def _end_with_demo():
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


async def _spawn(command, **options):
    try:
        return await asyncio.create_subprocess_exec(
            *command, stdin=asyncio.subprocess.DEVNULL, start_new_session=True, preexec_fn=_end_with_demo,
            limit=LINE_MAX, **options)
    except OSError as error:
        raise Failure(f"{command[0]} cannot be started: {error.strerror}") from None


async def run(*command):
    """Runs it to its end; gives all that it wrote, and its exit status."""
    process = await _spawn(command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT)
    try:
        output, _ = await asyncio.wait_for(process.communicate(), PATIENCE)
    except asyncio.TimeoutError:
        raise Failure(f"{command[0]} does not end") from None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return output.decode(), process.returncode


class Program:
    """One that runs beside the demo. It says what it has to say in lines, on the stream that is named."""

    def __init__(self, name, process, stream, on_death):
        self.name = name
        self.process = process
        self.lines = asyncio.Queue()
        self.said = []
        self.ending = False
        self.died = False
        self.reader = asyncio.create_task(self._read(stream))
        self.watcher = asyncio.create_task(self._watch(on_death))

    @classmethod
    async def start(cls, name, *command, on_death, stream="stdout", **options):
        """on_death is called with a Failure if it ends before it is told to."""
        process = await _spawn(command, **{stream: asyncio.subprocess.PIPE}, **options)
        return cls(name, process, getattr(process, stream), on_death)

    async def _read(self, stream):
        async for line in stream:
            line = line.decode(errors="replace").rstrip("\n")
            self.said = [*self.said[1 - SAID_MAX:], line]
            self.lines.put_nowait(line)

    async def _watch(self, on_death):
        await asyncio.wait({self.reader})
        status = await self.process.wait()
        self.died = not self.ending
        if self.died:
            on_death(self.failure("has ended by itself", status))

    def failure(self, what, status):
        how = f"by signal {-status}" if status < 0 else f"with exit status {status}"
        words = ["; its last words:", *self.said] if self.said else []
        return Failure(f"{self.name} {what}, {how}" + "\n  ".join(words))

    async def wait_for(self, holds):
        """The next line for which that holds; those before it are passed over."""
        async def find():
            while not holds(line := await self.lines.get()):
                pass
            return line
        try:
            return await asyncio.wait_for(find(), PATIENCE)
        except asyncio.TimeoutError:
            raise Failure(f"what {self.name} should say does not come; it said last: {self.said[-1:]}") from None

    async def stop(self):
        """Ends it; gives its exit status."""
        self.ending = True
        if self.process.returncode is None:
            self.process.terminate()
        done, _ = await asyncio.wait({self.watcher}, timeout=PATIENCE)
        if not done:
            self.process.kill()
            await self.watcher
        return self.process.returncode
