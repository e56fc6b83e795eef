// mppx pays: a job on every line of standard input, its outcome on a line of standard output. RPC_URL and CHAIN_ID say where.
//
// {"id", "op": "fetch", "url", "key", "mode"?}              pays for a URL       -> {"id", "status", "receipt", "body", "error"}
// {"id", "op": "sign", "url", "challenge", "key", "mode"?}  answers a challenge  -> {"id", "authorization", "error"}
import readline from 'node:readline'
import { Receipt } from 'mppx'
import { Mppx, tempo } from 'mppx/client'
import { privateKeyToAccount } from 'viem/accounts'
import { clientOf, tell } from './chain.mjs'

const wallets = new Map()

function wallet({ key, mode }) {
  const name = `${key} ${mode ?? ''}`
  if (!wallets.has(name)) {
    const account = privateKeyToAccount(key)
    const client = clientOf(account)
    const charge = tempo.charge({ account, getClient: () => client, ...(mode ? { mode } : {}) })
    wallets.set(name, Mppx.create({ polyfill: false, methods: [charge] }))
  }
  return wallets.get(name)
}

const jobs = {
  async fetch(job) {
    const response = await wallet(job).fetch(job.url)
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
