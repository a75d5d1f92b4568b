"""A serial line of this computer with a board at its other end: a pair of terminals, the reference board, and faults."""

import os
import pty
import select
import threading
import tty

import numpy as np

from golden.serial import END, ReferenceBoard, escape
from sim.simulation import CHUNK, Simulation


class Line:
    """A terminal pair: the host opens ``path``, ``board`` answers at the other end.

    Parameters
    ----------
    board : golden.serial.ReferenceBoard

    Attributes
    ----------
    request, answer : function of bytes
        What the line makes of what passes; tests put damage here.
    """

    def __init__(self, board: ReferenceBoard):
        self.board = board
        self.near, far = pty.openpty()
        tty.setraw(far)
        self.path, self._far = os.ttyname(far), far
        self.request = self.answer = lambda data: data
        self._pulled = threading.Event()
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self):
        rest = b""
        # A thread that waited in a read would keep the terminal open after it is closed.
        while not self._pulled.is_set():
            if not select.select([self.near], [], [], 0.01)[0]:
                continue
            rest += self.request(os.read(self.near, 4096))
            *frames, rest = rest.split(bytes([END]))
            for inner in frames:
                content = self.board.answer(inner)
                if content is not None:
                    os.write(self.near, self.answer(escape(content)))

    def unplug(self):
        """The host's end hangs up, as when the cable is pulled; doing it twice is harmless."""
        if not self._pulled.is_set():
            self._pulled.set()
            self._thread.join(5)
            os.close(self._far)
            os.close(self.near)


class RtlBoard(ReferenceBoard):
    """The reference of the link in front of the RTL; simulated time passes when a register is read.

    Parameters
    ----------
    config : isa.config.AcceleratorConfig
    memory_bytes : int

    Attributes
    ----------
    override : dict
        What registers read in place of the truth, by address.
    """

    def __init__(self, config, memory_bytes):
        self.rtl = Simulation(config, memory_bytes)
        self.override: dict[int, int] = {}
        super().__init__(self.rtl.memory, self._read, self.rtl.write_register)

    def _read(self, address):
        if address in self.override:
            return self.override[address]
        self.rtl.advance(CHUNK)
        return self.rtl.read_register(address)

    def _execute(self, command, address, length, data):
        return super()._execute(command, address, length, np.frombuffer(data, np.uint8))
