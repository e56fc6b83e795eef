"""pympp sells by card, and by card or chain, until its standard input ends.

STRIPE_URL and STRIPE_SECRET_KEY say whose cards; RPC_URL, CHAIN_ID, MPP_SECRET_KEY, MPP_REALM and PORT (0: a free one) say where.
"""

import asyncio
import json
import os
import sys

from aiohttp import web
from eth_account import Account
from mpp.methods.stripe import _defaults
from mpp.methods.stripe import server as stripe
from mpp.methods.tempo import server as tempo
from mpp.server import Mpp, Request, Response
from mpp.store import MemoryStore

# It knows no other way to be pointed elsewhere.
_defaults.STRIPE_API_BASE = os.environ["STRIPE_URL"] + "/v1"

PATH_USD = "0x20c0000000000000000000000000000000000000"
MNEMONIC = "test " * 11 + "junk"


def recipient() -> str:
    """The development account that sells."""
    Account.enable_unaudited_hdwallet_features()
    return Account.from_mnemonic(MNEMONIC, account_path="m/44'/60'/0'/0/2").address


def cards(**more):
    return stripe.charge(secret_key=os.environ["STRIPE_SECRET_KEY"], network_id="internal", **more)


def routes() -> dict:
    chain = tempo.charge(
        chain_id=int(os.environ["CHAIN_ID"]),
        currencies=[PATH_USD],
        recipient=recipient(),
        rpc_url=os.environ["RPC_URL"],
        store=MemoryStore(),
    )
    plain = Mpp(methods=cards(currency="usd"))
    yen = Mpp(methods=cards(currency="jpy", decimals=0))
    order = Mpp(methods=cards(currency="usd", metadata={"plan": "pro"}))
    guarded = Mpp(methods=cards(currency="usd"), requires_auth=True)
    either = Mpp(methods=[*(chain if isinstance(chain, (list, tuple)) else [chain]), cards(currency="usd")])

    def both(*names: str):
        return either.compose(*((name, {"amount": "1"}) for name in names))

    return {
        "/card": plain.charge(amount="5"),
        "/dear": plain.charge(amount="6"),
        "/order": order.charge(amount="1", description="a pro plan", external_id="order-1"),
        "/yen": yen.charge(amount="500"),
        "/auth": guarded.charge(amount="5"),
        "/either": both("tempo/charge", "stripe/charge"),
        "/swapped": both("stripe/charge", "tempo/charge"),
    }


def shop() -> web.Application:
    def handler(path: str, route):
        async def serve(request: web.Request) -> web.Response:
            # The application's own guest list, which a payment is no way past.
            if path == "/auth" and request.headers.get("authorization") != "Bearer guest":
                return web.Response(status=401)
            asked = Request(request.method, str(request.url), list(request.headers.items()))
            paid = await route(asked)
            if paid.status == 200:
                answer = paid.with_receipt(Response.json({"ok": True, "path": path}))
            else:
                answer = paid.challenge
            return web.Response(status=answer.status, headers=answer.headers.multi_items(), body=answer.body)

        return serve

    app = web.Application()
    app.add_routes(web.get(path, handler(path, route)) for path, route in routes().items())
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
