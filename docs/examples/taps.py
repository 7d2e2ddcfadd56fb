"""Prints a demo user's taps as they happen: python taps.py [hub address] [user's full name]."""

import asyncio
import json
import sys
from urllib.request import Request, urlopen

from centrifuge import Client, ClientEventHandler, ServerPublicationContext

hub = sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:8000"
name = sys.argv[2] if len(sys.argv) > 2 else "Ada Lovelace"


def sign_in() -> str:
    users = json.load(urlopen(f"{hub}/v1/auth/development/users"))["items"]
    user_id = next(user["id"] for user in users if user["full_name"] == name)
    body = json.dumps({"user_id": user_id}).encode()
    headers = {"Content-Type": "application/json"}
    answer = urlopen(Request(f"{hub}/v1/auth/development/sign-in", body, headers))
    return json.load(answer)["access_token"]


async def get_token() -> str:
    return await asyncio.to_thread(sign_in)


class PrintTaps(ClientEventHandler):
    async def on_publication(self, ctx: ServerPublicationContext) -> None:
        event = ctx.pub.data
        if event["type"] == "ring.tapped":
            tap = event["data"]
            print(
                tap["tapped_at"],
                tap["kind"],
                f"ring {tap['ring_id']}",
                f"tap {tap['seq']}",
                flush=True,
            )


async def main() -> None:
    url = hub.replace("http", "ws", 1) + "/connection/websocket"
    await Client(url, events=PrintTaps(), get_token=get_token).connect()
    print(f"Following the taps of {name}; Ctrl-C ends.", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main())
