"""Protocol monitor for AXI4: fails the test at the first broken rule, and keeps what it saw."""

from collections import deque

import cocotb
from cocotb.triggers import RisingEdge

BOUNDARY = 4096
INCREMENT = 1


class AxiMonitor:
    """Watches the channels that exist of ``{prefix}araddr`` and so on, in every cycle without reset.

    What is checked: valid is never X; the payload of a valid channel is never X, and both stay until ready; bursts are
    whole incrementing beats, aligned, and do not cross 4 KB; every burst has the beats it announced, with ``last`` on the
    last; no answer comes unasked.

    Members
    -------
    reads, writes : lists of (address, beats)
        Bursts announced.
    read_beats, write_beats, write_answers : int
    """

    def __init__(self, dut, prefix, axi_bits):
        self._dut, self._prefix, self._bytes = dut, prefix, axi_bits // 8
        self._channels = {}
        payloads = {
            "ar": "id addr len size burst cache prot", "r": "id data resp last",
            "aw": "id addr len size burst cache prot", "w": "data strb last", "b": "id resp",
        }  # fmt: skip
        for channel, names in payloads.items():
            if hasattr(dut, f"{prefix}{channel}valid"):
                self._channels[channel] = tuple(
                    getattr(dut, f"{prefix}{channel}{name}") for name in ("valid", "ready", *names.split())
                )
                self._channels[channel] += (names.split(),)
        if not self._channels:
            raise ValueError(f"{dut._name} has no AXI channel named {prefix}arvalid or alike")
        self.reads, self.writes = [], []
        self.read_beats = self.write_beats = self.write_answers = 0
        self._forget()
        cocotb.start_soon(self._watch())

    def assert_quiet(self):
        """All that was announced has been moved and answered."""
        assert not self._read_lengths, f"{len(self._read_lengths)} read bursts have not been answered"
        assert not self._write_lengths, f"{len(self._write_lengths)} write bursts lack data"
        assert not self._sent_lengths, "write data without an address"
        assert not self._sent, "a write burst lacks its end"
        assert not self._unanswered, f"{self._unanswered} write bursts have not been answered"

    def _forget(self):
        self._refused = {}
        self._read_lengths, self._received = deque(), 0
        # Data may overtake its address, so finished bursts wait here for their announcement.
        self._write_lengths, self._sent_lengths, self._sent = deque(), deque(), 0
        self._unanswered = 0

    async def _watch(self):
        edge = RisingEdge(self._dut.clk)
        while True:
            await edge
            self.cycle()

    def cycle(self):
        """One cycle, as the signals are now."""
        if not self._dut.rst.value.is_resolvable or self._dut.rst.value:
            self._forget()
            return
        # Answers first: what is announced in this cycle cannot be answered in it.
        for channel in ("r", "b", "ar", "aw", "w"):
            if channel in self._channels:
                self._cycle(channel)

    def _cycle(self, channel):
        valid, ready, *signals, names = self._channels[channel]
        if not valid.value.is_resolvable or not ready.value.is_resolvable:
            raise AssertionError(f"{channel}valid or {channel}ready is X")
        refused = self._refused.pop(channel, None)
        if not valid.value:
            assert refused is None, f"{channel}valid was withdrawn before ready"
            return
        payload = {}
        for name, signal in zip(names, signals, strict=True):
            if signal.value.is_resolvable:
                payload[name] = int(signal.value)
            else:
                # Lanes without strobe may hold anything.
                assert (channel, name) == ("w", "data"), f"{channel}{name} is X"
                assert not int(self._channels["w"][3].value), "strobed wdata is X"
                payload[name] = None
        assert refused in (None, payload), f"{channel} offered {refused}, was refused, and then offered {payload}"
        if not ready.value:
            self._refused[channel] = payload
            return
        getattr(self, f"_take_{channel}")(payload)

    def _burst(self, channel, payload):
        beats, address = payload["len"] + 1, payload["addr"]
        where = f"{channel} burst of {beats} beats at {address:#x}"
        assert 1 << payload["size"] == self._bytes, f"{where} has beats of {1 << payload['size']} bytes"
        assert payload["burst"] == INCREMENT, f"{where} is of kind {payload['burst']}"
        assert address % self._bytes == 0, f"{where} is not aligned"
        assert address % BOUNDARY + beats * self._bytes <= BOUNDARY, f"{where} crosses 4 KB"
        return address, beats

    def _take_ar(self, payload):
        address, beats = self._burst("ar", payload)
        self.reads.append((address, beats))
        self._read_lengths.append(beats)

    def _take_r(self, payload):
        assert self._read_lengths, "read data that nobody asked for"
        self.read_beats += 1
        self._received += 1
        last = self._received == self._read_lengths[0]
        assert payload["last"] == last, f"rlast is {payload['last']} on beat {self._received} of {self._read_lengths[0]}"
        if last:
            self._read_lengths.popleft()
            self._received = 0

    def _take_aw(self, payload):
        address, beats = self._burst("aw", payload)
        self.writes.append((address, beats))
        self._write_lengths.append(beats)
        self._match_writes()

    def _take_w(self, payload):
        self.write_beats += 1
        self._sent += 1
        if payload["last"]:
            self._sent_lengths.append(self._sent)
            self._sent = 0
        self._match_writes()

    def _match_writes(self):
        while self._write_lengths and self._sent_lengths:
            announced, sent = self._write_lengths.popleft(), self._sent_lengths.popleft()
            assert announced == sent, f"a burst of {announced} beats had wlast on beat {sent}"
            self._unanswered += 1
        if self._write_lengths:
            assert self._sent < self._write_lengths[0] or not self._sent, "a write burst went on without wlast"

    def _take_b(self, payload):
        assert self._unanswered, "a write answer without a finished burst"
        self._unanswered -= 1
        self.write_answers += 1
