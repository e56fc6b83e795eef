"""pympp pays by card, or by card and chain: a job on every line of standard input, its outcome on a line of standard output.

STRIPE_URL and STRIPE_SECRET_KEY say who makes tokens; RPC_URL and CHAIN_ID say where the chain is. The jobs are those of the mppx
client beside it; what pympp would rather pay by is the order of its methods.
"""

import asyncio
import base64
import json
import os
import sys

import httpx
from mpp import Challenge, Receipt
from mpp.client import Mpp
from mpp.methods.stripe import client as stripe
from mpp.methods.tempo import TempoAccount
from mpp.methods.tempo import client as tempo
from mpp.runtime import CredentialParams

# It signs for sixty seconds; the local fork drops what is valid for more than thirty, without a word.
tempo.EXPIRING_NONCE_VALID_BEFORE_SECS = 25

TOKENS = os.environ["STRIPE_URL"] + "/v1/test_helpers/shared_payment/granted_tokens"


async def create_token(asked) -> str:
    form = {
        "payment_method": asked.payment_method,
        "usage_limits[currency]": asked.currency,
        "usage_limits[max_amount]": asked.amount,
        "usage_limits[expires_at]": str(asked.expires_at),
        "seller_details[network_id]": asked.network_id,
    }
    form |= {f"metadata[{name}]": value for name, value in (asked.metadata or {}).items()}
    headers = {"Stripe-Version": "2026-07-29.preview"}
    async with httpx.AsyncClient(auth=(os.environ["STRIPE_SECRET_KEY"], "")) as client:
        response = await client.post(TOKENS, data=form, headers=headers)
    answer = response.json()
    if not response.is_success:
        raise ValueError(f"no token: {answer['error']['message']}")
    return answer["id"]


def methods(job: dict) -> list:
    by = {"stripe/charge": stripe.charge(create_token=create_token, payment_method=job["card"])}
    if job.get("key"):
        account = TempoAccount.from_key(job["key"])
        chain_id = int(os.environ["CHAIN_ID"])
        by["tempo/charge"] = tempo.charge(account=account, chain_id=chain_id, rpc_url=os.environ["RPC_URL"])
    return [by[name] for name in job.get("prefer") or by]


async def fetch(job: dict) -> dict:
    async with Mpp(methods=methods(job)) as mpp:
        response = await mpp.fetch(job["url"], headers=job.get("headers") or {})
    token = response.headers.get("payment-receipt")
    receipt = None
    if token:
        Receipt.from_payment_receipt(token)  # it must be one that pympp takes
        receipt = json.loads(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
    return {"status": response.status_code, "receipt": receipt, "body": response.text}


async def sign(job: dict) -> dict:
    challenge = Challenge.from_www_authenticate(job["challenge"])
    (method,) = methods(job)
    return {"authorization": await method.create_credential(CredentialParams(challenge=challenge))}


def tell(outcome: dict) -> None:
    print(json.dumps(outcome), flush=True)


async def main() -> None:
    jobs = {"fetch": fetch, "sign": sign}
    tell({"ready": True})
    while line := await asyncio.to_thread(sys.stdin.readline):
        job = json.loads(line)
        try:
            outcome = await jobs[job["op"]](job)
            tell({"id": job["id"], "error": None} | outcome)
        except Exception as error:
            tell({"id": job["id"], "error": f"{type(error).__name__}: {error}"})


asyncio.run(main())
