"""One file up and down again with the SDK, in a process of its own: what it took, as a line of JSON.

`python -m bench.transfer '{"url": …, "token": …, "path": …, "to": …, "ref": …}'`
"""

import json
import sys
from pathlib import Path
from time import perf_counter

from hallmark import Client

from bench.memory import peak_megabytes


def main() -> None:
    wanted = json.loads(sys.argv[1])
    with Client(wanted["url"], wanted["token"]) as client:
        begun = perf_counter()
        client.register_version(wanted["ref"], files=[wanted["path"]])
        uploaded = perf_counter()
        client.download(wanted["ref"], Path(wanted["to"]))
        done = perf_counter()
    print(json.dumps({"up": uploaded - begun, "down": done - uploaded, "rss_mb": round(peak_megabytes(), 1)}))


if __name__ == "__main__":
    main()
