"""pympp pays: a job on every line of standard input, its outcome on a line of standard output.

RPC_URL and CHAIN_ID say where. The jobs are those of the mppx client beside it; pympp has no push mode.
"""

import asyncio
import json
import os
import sys

from mpp import Challenge, Receipt
from mpp.client import Mpp
from mpp.methods.tempo import TempoAccount
from mpp.methods.tempo import client as tempo
from mpp.runtime import CredentialParams

# It signs for sixty seconds; the local fork drops what is valid for more than thirty, without a word.
tempo.EXPIRING_NONCE_VALID_BEFORE_SECS = 25


def charge(job: dict):
    if job.get("mode") == "push":
        raise ValueError("pympp has no push mode")
    account = TempoAccount.from_key(job["key"])
    return tempo.charge(account=account, chain_id=int(os.environ["CHAIN_ID"]), rpc_url=os.environ["RPC_URL"])


async def fetch(job: dict) -> dict:
    async with Mpp(methods=[charge(job)]) as mpp:
        response = await mpp.fetch(job["url"])
    token = response.headers.get("payment-receipt")
    receipt = None
    if token:
        Receipt.from_payment_receipt(token)  # it must be one that pympp takes
        receipt = decoded(token)
    return {"status": response.status_code, "receipt": receipt, "body": response.text}


async def sign(job: dict) -> dict:
    challenge = Challenge.from_www_authenticate(job["challenge"])
    credential = await charge(job).create_credential(CredentialParams(challenge=challenge))
    return {"authorization": credential}


def decoded(token: str) -> dict:
    """Every member of a receipt, those included that pympp does not know."""
    import base64

    return json.loads(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))


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
