"""pympp sells on every route it can, until its standard input ends.

RPC_URL, CHAIN_ID, MPP_SECRET_KEY, MPP_REALM and PORT (0: a free one) say where. It has no zero-amount proofs, no
`supportedModes` (/pull and /push take either), and takes no splits on a sponsored route, so /splits-sponsored is missing.
"""

import asyncio
import json
import os
import sys

from aiohttp import web
from eth_account import Account
from mpp.methods.tempo import TempoAccount
from mpp.methods.tempo import server as tempo
from mpp.server import Mpp, Request, Response
from mpp.store import MemoryStore

PATH_USD = "0x20c0000000000000000000000000000000000000"
ALPHA_USD = "0x20c0000000000000000000000000000000000001"
MNEMONIC = "test " * 11 + "junk"


def account(number: int):
    """A development account of the mnemonic, by its number."""
    Account.enable_unaudited_hdwallet_features()
    return Account.from_mnemonic(MNEMONIC, account_path=f"m/44'/60'/0'/0/{number}")


def routes() -> dict[str, dict]:
    to_partner = {"amount": "200000", "recipient": account(4).address}
    to_shareholder = {"amount": "50000", "recipient": account(0).address, "memo": "0x" + "42" * 32}
    return {
        "/charge": {"amount": "0.01"},
        "/pull": {"amount": "0.01"},
        "/push": {"amount": "0.01"},
        "/sponsored": {"amount": "0.01", "fee_payer": True},
        "/splits": {"amount": "1", "splits": [to_partner, to_shareholder]},
        "/zero": {"amount": "0"},
        "/alpha": {
            "amount": "0.5",
            "currency": ALPHA_USD,
            "description": "pay in AlphaUSD",
            "external_id": "order-1",
        },
    }


def shop() -> web.Application:
    sponsor = TempoAccount.from_key("0x" + account(3).key.hex().removeprefix("0x"))
    mpp = Mpp(
        methods=tempo.charge(
            chain_id=int(os.environ["CHAIN_ID"]),
            currencies=[PATH_USD],
            fee_payer=sponsor,
            recipient=account(2).address,
            rpc_url=os.environ["RPC_URL"],
            store=MemoryStore(),
        )
    )

    def handler(path: str, terms: dict):
        charge = mpp.charge(**terms)

        async def serve(request: web.Request) -> web.Response:
            asked = Request(request.method, str(request.url), list(request.headers.items()))
            paid = await charge(asked)
            if paid.status == 200:
                answer = paid.with_receipt(Response.json({"ok": True, "path": path}))
            else:
                answer = paid.challenge
            headers = answer.headers.multi_items()
            return web.Response(status=answer.status, headers=headers, body=answer.body)

        return serve

    app = web.Application()
    app.add_routes(web.get(path, handler(path, terms)) for path, terms in routes().items())
    return app


async def main() -> None:
    runner = web.AppRunner(shop())
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", int(os.environ.get("PORT", "0")))
    await site.start()
    host, port = runner.addresses[0]
    print(json.dumps({"ready": True, "url": f"http://{host}:{port}"}), flush=True)
    await asyncio.to_thread(sys.stdin.read)
    await runner.cleanup()


asyncio.run(main())
