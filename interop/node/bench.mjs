// mppx pays for a URL again and again: a job on every line of standard input, how long each payment took on a line of
// standard output. RPC_URL and CHAIN_ID say where.
//
// {"url", "key", "times"} -> {"milliseconds": […]}, or {"error"}
import readline from 'node:readline'
import { Mppx, tempo } from 'mppx/client'
import { privateKeyToAccount } from 'viem/accounts'
import { clientOf, tell } from './chain.mjs'

let wallet

function walletOf(key) {
  const account = privateKeyToAccount(key)
  const client = clientOf(account)
  const charge = tempo.charge({ account, getClient: () => client, mode: 'pull' })
  return Mppx.create({ polyfill: false, methods: [charge] })
}

async function pay(url) {
  const began = performance.now()
  const response = await wallet.fetch(url)
  const body = await response.text()
  const milliseconds = performance.now() - began
  if (response.status !== 200) throw new Error(`${response.status} ${body}`)
  if (!response.headers.has('payment-receipt')) throw new Error('no receipt')
  return milliseconds
}

tell({ ready: true })
for await (const line of readline.createInterface({ input: process.stdin })) {
  const { url, key, times } = JSON.parse(line)
  wallet ??= walletOf(key)
  const milliseconds = []
  try {
    for (let paid = 0; paid < times; paid += 1) milliseconds.push(await pay(url))
    tell({ milliseconds })
  } catch (error) {
    tell({ error: `${error.name}: ${error.message}` })
  }
}
