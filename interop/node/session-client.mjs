// mppx pays by session: a job on every line of standard input, its outcome on a line of standard output. RPC_URL and CHAIN_ID
// say where.
//
// {"id", "op": "run", "flow", "url", "key"}     plays a flow on one channel, and closes it
//     -> {"id", "channel", "served", "statuses", "cumulative", "topUp", "close", "error"}
// {"id", "op": "sign", "url", "challenge", "key"}  answers a challenge by a channel of its own, and sends nothing
//     -> {"id", "authorization", "error"}
import readline from 'node:readline'
import { Mppx, tempo } from 'mppx/client'
import { Session } from 'mppx/tempo'
import { privateKeyToAccount } from 'viem/accounts'
import WebSocket from 'ws'
import { clientOf, tell } from './chain.mjs'

/** A flow ends by itself, or is given up. */
const PATIENCE = 15_000

function manager({ key }, options) {
  const account = privateKeyToAccount(key)
  return tempo.session.manager({
    account,
    client: clientOf(account),
    maxDeposit: '1',
    webSocket: WebSocket,
    ...options,
  })
}

/** By the escrow contract, which this version still pays by. */
function legacy({ key }) {
  const account = privateKeyToAccount(key)
  return tempo.sessionLegacy({ account, allowCustomEscrow: true, client: clientOf(account), maxDeposit: '1' })
}

async function paid(response) {
  const body = await response.text()
  if (response.status !== 200) throw new Error(`${response.status} ${body}`)
  return response.status
}

async function requests(session, url, times) {
  const statuses = []
  for (let at = 0; at < times; at += 1) statuses.push(await paid(await session.fetch(url)))
  return statuses
}

async function streamed(session, url) {
  let served = 0
  for await (const _ of await session.sse(url)) served += 1
  return served
}

/** Counts the messages of a socket until so many came. */
function counted(socket, wanted) {
  return new Promise((resolve, reject) => {
    let served = 0
    const late = setTimeout(() => reject(new Error(`${served} messages, and no more`)), PATIENCE)
    const ended = (settle) => (event) => {
      clearTimeout(late)
      settle(event)
    }
    const enough = ended(() => resolve(served))
    socket.addEventListener('message', () => (served += 1) === wanted && enough())
    socket.addEventListener('error', ended(() => reject(new Error('the socket failed'))))
    socket.addEventListener('close', ended(() => (served === wanted ? resolve(served) : reject(new Error(`closed after ${served}`)))))
  })
}

const flows = {
  async data(job) {
    const session = manager(job)
    const statuses = await requests(session, `${job.url}/data`, 5)
    return { session, served: statuses.length, statuses }
  },
  async topup(job) {
    const session = manager(job)
    await requests(session, `${job.url}/data`, 1)
    const topUp = await session.topUp('0.05')
    const statuses = await requests(session, `${job.url}/data`, 20)
    return { session, served: 1 + statuses.length, statuses, topUp }
  },
  async autotopup(job) {
    const session = manager(job, { topUpAmount: '0.005' })
    const statuses = await requests(session, `${job.url}/data`, 15)
    return { session, served: statuses.length, statuses }
  },
  async sse(job) {
    const session = manager(job)
    return { session, served: await streamed(session, `${job.url}/sse?n=30`) }
  },
  async ssetopup(job) {
    const session = manager(job, { topUpAmount: '0.005' })
    return { session, served: await streamed(session, `${job.url}/sse?n=150`) }
  },
  async sponsored(job) {
    const session = manager(job)
    const statuses = await requests(session, `${job.url}/sponsored`, 3)
    const topUp = await session.topUp('0.02')
    return { session, served: statuses.length, statuses, topUp }
  },
  async 'sse-sponsored'(job) {
    const session = manager(job)
    return { session, served: await streamed(session, `${job.url}/sse-sponsored?n=10`) }
  },
  // Without a query: mppx's server takes an opening at an address with one for a request that is paid for by itself.
  async ws(job) {
    const session = manager(job)
    const socket = await session.ws(`${job.url.replace('http', 'ws')}/ws`)
    return { session, served: await counted(socket, 20) }
  },
  async bootstrap(job) {
    const forgotten = manager(job)
    await requests(forgotten, `${job.url}/data`, 2)
    const session = manager(job, { bootstrap: true })
    const statuses = await requests(session, `${job.url}/data`, 2)
    return { session, served: 2 + statuses.length, statuses }
  },
  async 'v1-data'(job) {
    const session = legacy(job)
    const statuses = await requests(session, `${job.url}/data`, 5)
    return { session, served: statuses.length, statuses }
  },
  async 'v1-sse'(job) {
    const session = legacy(job)
    return { session, served: await streamed(session, `${job.url}/sse?n=30`) }
  },
}

/** The plain client keeps its channel to itself: it is shown it here, and told to close it. */
async function plain(job) {
  const { wallet, channels } = walletOf(job)
  const url = `${job.url}/data`
  const statuses = await requests(wallet, url, 3)
  const [channel] = channels.values()
  const { channelId, cumulativeAmount, descriptor } = channel
  const context = { action: 'close', channelId, cumulativeAmountRaw: String(cumulativeAmount), descriptor }
  // Not by its own fetch, which would ask by a bare POST what the address costs: one that answers none need not say.
  const authorization = await wallet.createCredential(await fetch(url), context)
  const closed = await fetch(url, { headers: { authorization }, method: 'POST' })
  const close = Session.Precompile.Protocol.deserializeSessionReceipt(closed.headers.get('payment-receipt') ?? '')
  return { channel: channelId, close, cumulative: cumulativeAmount, served: statuses.length, statuses }
}

function walletOf({ key }) {
  const account = privateKeyToAccount(key)
  const client = clientOf(account)
  const channels = new Map()
  const nameOf = ({ descriptor, escrow, chainId }) =>
    [descriptor.payee, descriptor.token, escrow, chainId].join(':').toLowerCase()
  const channelStore = {
    delete: (name) => channels.delete(name),
    get: (name) => channels.get(name),
    set: (entry) => channels.set(nameOf(entry), entry),
  }
  const session = tempo.session({ account, channelStore, getClient: () => client, maxDeposit: '1' })
  return { channels, wallet: Mppx.create({ methods: [session], polyfill: false }) }
}

const jobs = {
  async run(job) {
    if (job.flow === 'fetch') return plain(job)
    const { session, ...outcome } = await flows[job.flow](job)
    const { channelId: channel, cumulative } = session
    return { ...outcome, channel, close: await session.close(), cumulative }
  },
  async sign(job) {
    const asked = new Response(null, { status: 402, headers: { 'www-authenticate': job.challenge } })
    Object.defineProperty(asked, 'url', { value: job.url })
    return { authorization: await walletOf(job).wallet.createCredential(asked) }
  },
}

/** Amounts are text, as on the wire. */
const plainly = (value) => JSON.parse(JSON.stringify(value, (_, part) => (typeof part === 'bigint' ? String(part) : part)))

tell({ ready: true })
for await (const line of readline.createInterface({ input: process.stdin })) {
  const job = JSON.parse(line)
  try {
    tell({ id: job.id, error: null, ...plainly(await jobs[job.op](job)) })
  } catch (error) {
    tell({ id: job.id, error: `${error.name}: ${error.message}` })
  }
}
