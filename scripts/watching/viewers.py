"""So many streams of a date's seats, for scripts/watched-sale, in a process of their own.

viewers.py ADDRESS/PATH COUNT SECTION FROM

Says `ready` once all have drawn the map, then what they have heard between the lines `measure` and `measured`. The third
line is the server's map after the last hold, in the compact form: how many ended with it is part of what is said. A probe
is a seat of SECTION with a number above FROM that becomes held.
"""
import asyncio
import json
import sys
import time

COMPACT = "application/vnd.turnstile.seats+json"


class Maps:
    """What streams have told. Viewers that were told the same share a state, so each change is applied once."""

    def __init__(self):
        self.states, self.after = [{}], {}

    def told(self, state, event):
        known = self.after.get((state, event))
        if known is None:
            sections = dict(self.states[state])
            for name, change in json.loads(event).items():
                if isinstance(change, str):
                    sections[name] = change.encode()
                    continue
                seats = bytearray(sections[name])
                for letter, numbers in change.items():
                    for number in numbers:
                        seats[number - 1] = ord(letter)
                sections[name] = bytes(seats)
            known = self.index_of(sections)
            self.after[(state, event)] = known
        return known

    def index_of(self, sections):
        """Of this state, which another way may have led to a moment ago."""
        first = max(0, len(self.states) - 50)
        for index in range(first, len(self.states)):
            if self.states[index] == sections:
                return index
        self.states.append(sections)
        return len(self.states) - 1


class Viewer(asyncio.Protocol):
    """One stream of seats, read as it comes."""

    def __init__(self, crowd):
        self.crowd, self.raw, self.text, self.begun = crowd, b"", b"", False
        self.state, self.drawn = 0, False

    def connection_made(self, transport):
        self.transport = transport
        host, path = self.crowd.path.split("/", 1)
        transport.write(f"GET /{path} HTTP/1.1\r\nHost: {host}\r\nAccept: {COMPACT}\r\n\r\n".encode())

    def data_received(self, data):
        self.raw += data
        if not self.begun:
            head, end, rest = self.raw.partition(b"\r\n\r\n")
            if not end:
                return
            assert head.startswith(b"HTTP/1.1 200"), head
            self.begun, self.raw = True, rest
        while True:
            size, end, rest = self.raw.partition(b"\r\n")
            length = int(size, 16) if end else 0
            if not end or len(rest) < length + 2:
                break
            self.text, self.raw = self.text + rest[:length], rest[length + 2:]
        *events, self.text = self.text.split(b"\n\n")
        for event in events:
            data = next((line[6:] for line in event.split(b"\n") if line.startswith(b"data: ")), None)
            if data:
                self.state = self.crowd.maps.told(self.state, data)
                self.crowd.heard(self, data)

    def connection_lost(self, _error):
        self.crowd.ended += not self.crowd.over


class Crowd:
    def __init__(self, path, section, above):
        self.path, self.section, self.above = path, section, above
        self.maps, self.viewers = Maps(), []
        self.measuring, self.over, self.deltas, self.bytes, self.ended, self.drawn = False, False, 0, 0, 0, 0
        self.probes, self.probed = {}, {}

    def heard(self, viewer, event):
        if not viewer.drawn:
            viewer.drawn, self.drawn = True, self.drawn + 1
            return
        if not self.measuring:
            return
        self.deltas, self.bytes = self.deltas + 1, self.bytes + len(event)
        if event not in self.probed:
            change = json.loads(event).get(self.section, {})
            held = change.get("H", []) if isinstance(change, dict) else []
            self.probed[event] = [number for number in held if number > self.above]
        for number in self.probed[event]:
            self.probes.setdefault(number, []).append(time.time() * 1000)


async def view(path, count, section, above):
    loop, crowd = asyncio.get_running_loop(), Crowd(path, section, above)
    host, port = path.split("/", 1)[0].split(":")
    for _ in range(count):
        crowd.viewers.append((await loop.create_connection(lambda: Viewer(crowd), host, int(port)))[1])
    while crowd.drawn < count:
        await asyncio.sleep(0.05)
    print("ready", flush=True)
    read = lambda: loop.run_in_executor(None, sys.stdin.readline)
    await read()
    crowd.measuring = True
    await read()
    crowd.measuring = False
    final = {name: letters.encode() for name, letters in json.loads(await read()).items()}
    same = lambda: sum(crowd.maps.states[viewer.state] == final for viewer in crowd.viewers)
    deadline = loop.time() + 10
    while same() < count and loop.time() < deadline:
        await asyncio.sleep(0.1)
    crowd.over = True
    # A probe that some have not heard within the measurement is none.
    probes = {number: times for number, times in crowd.probes.items() if len(times) == count}
    said = {"deltas": crowd.deltas, "bytes": crowd.bytes, "same": same(), "ended": crowd.ended, "probes": probes}
    print(json.dumps(said), flush=True)


if __name__ == "__main__":
    asyncio.run(view(sys.argv[1], int(sys.argv[2]), sys.argv[3], int(sys.argv[4])))
