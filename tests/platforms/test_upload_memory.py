"""However large a file is, sending it takes little memory."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

#: Sends a file of some gigabytes, which takes no room on the disk, to a server that keeps nothing.
_SCRIPT = """
import asyncio, hashlib, json, re, resource, sys
from pathlib import Path
from lorry.errors import Unreachable
from lorry.platforms.together.connection import open_connection
from lorry.platforms.together.parts import PartSender, Sent
from lorry.platforms.together.planned import plan
from lorry.delivery.ports import UploadFile

MB = 1024 * 1024

async def answer(reader, writer):
    while head := await reader.readuntil(b"\\r\\n\\r\\n"):
        size = int(re.search(rb"content-length: *(\\d+)", head, re.I)[1])
        digest = hashlib.md5(usedforsecurity=False)
        while size:
            block = await reader.read(min(size, MB))
            digest.update(block)
            size -= len(block)
        tag = digest.hexdigest().encode()
        writer.write(b'HTTP/1.1 200 OK\\r\\ncontent-length: 0\\r\\netag: "%s"\\r\\n\\r\\n' % tag)
        await writer.drain()

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024

async def main(path):
    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    url = "http://127.0.0.1:%d" % server.sockets[0].getsockname()[1]
    before = peak()
    planned = plan(UploadFile(path.name, path), 20 * MB)
    seen = []
    async with open_connection(url, "any", project=None, unreachable=Unreachable, timeout=60) as connection:
        sent = Sent(planned.size, lambda there, of: seen.append(there) if len(seen) < 9 else None)
        sender = PartSender(connection, path.name, path, sent, lambda number, tag: None)
        tags = await sender.send([(part, {"url": url + "/%d" % part.number}) for part in planned.parts])
    print(json.dumps({"grown": peak() - before, "parts": len(tags), "size": planned.size}))

asyncio.run(main(Path(sys.argv[1])))
"""


def test_sending_a_gigabyte_takes_less_than_a_tenth_of_it(tmp_path: Path) -> None:
    """A file of one gigabyte in 52 parts, hashed and sent: the process grows by less than 100 MB."""
    file = tmp_path / "large.safetensors"
    with file.open("wb") as stream:
        stream.truncate(1024**3)
    done = subprocess.run(
        [sys.executable, "-c", _SCRIPT, str(file)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert (told["parts"], told["size"]) == (52, 1024**3)
    assert told["grown"] < 100
