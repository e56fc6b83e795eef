// mppx pays by card, or by card and chain: a job on every line of standard input, its outcome on a line of standard output.
// STRIPE_URL and STRIPE_SECRET_KEY say who makes tokens; RPC_URL and CHAIN_ID say where the chain is.
//
// {"id", "op": "fetch", "url", "card", "key"?, "prefer"?, "headers"?}  pays for a URL       -> {"id", "status", "receipt", "body", "error"}
// {"id", "op": "sign", "url", "challenge", "card"}                     answers a challenge  -> {"id", "authorization", "error"}
//
// With a `key` it can pay on the chain too; `prefer` is a list of what it would rather pay by, best first.
import readline from 'node:readline'
import { Receipt } from 'mppx'
import { Mppx, stripe, tempo } from 'mppx/client'
import { privateKeyToAccount } from 'viem/accounts'
import { clientOf, named, tell } from './chain.mjs'

const STRIPE_URL = named('STRIPE_URL')
const authorization = `Basic ${btoa(`${named('STRIPE_SECRET_KEY')}:`)}`

async function createToken({ amount, currency, expiresAt, metadata, networkId, paymentMethod }) {
  const form = new URLSearchParams({
    payment_method: paymentMethod,
    'usage_limits[currency]': currency,
    'usage_limits[max_amount]': amount,
    'usage_limits[expires_at]': String(expiresAt),
    'seller_details[network_id]': networkId,
  })
  for (const [name, value] of Object.entries(metadata ?? {})) form.set(`metadata[${name}]`, value)
  const response = await fetch(`${STRIPE_URL}/v1/test_helpers/shared_payment/granted_tokens`, {
    method: 'POST',
    headers: { authorization, 'stripe-version': '2026-07-29.preview' },
    body: form,
  })
  const answer = await response.json()
  if (!response.ok) throw new Error(`no token: ${answer.error?.message}`)
  return answer.id
}

function wallet({ card, key, prefer }) {
  const methods = [stripe.charge({ createToken, paymentMethod: card })]
  if (key) {
    const account = privateKeyToAccount(key)
    const client = clientOf(account)
    methods.unshift(tempo.charge({ account, getClient: () => client }))
  }
  // Half as dear to it as the one before.
  const ranked = prefer?.map((name, at) => [name, 0.5 ** at])
  return Mppx.create({
    polyfill: false,
    methods,
    ...(ranked ? { paymentPreferences: Object.fromEntries(ranked) } : {}),
  })
}

const jobs = {
  async fetch(job) {
    const response = await wallet(job).fetch(job.url, { headers: job.headers ?? {} })
    const receipt = response.headers.get('payment-receipt')
    return {
      status: response.status,
      receipt: receipt ? Receipt.deserialize(receipt) : null,
      body: await response.text(),
    }
  },
  async sign(job) {
    const asked = new Response(null, { status: 402, headers: { 'www-authenticate': job.challenge } })
    Object.defineProperty(asked, 'url', { value: job.url })
    return { authorization: await wallet(job).createCredential(asked) }
  },
}

tell({ ready: true })
for await (const line of readline.createInterface({ input: process.stdin })) {
  const job = JSON.parse(line)
  try {
    tell({ id: job.id, error: null, ...(await jobs[job.op](job)) })
  } catch (error) {
    tell({ id: job.id, error: `${error.name}: ${error.message}` })
  }
}
