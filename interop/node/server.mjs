// mppx sells on every route, until its standard input ends. RPC_URL, CHAIN_ID, MPP_SECRET_KEY and PORT (0: a free one) say where.
import http from 'node:http'
import { Mppx, Request, Store, tempo } from 'mppx/server'
import { ALPHA_USD, PATH_USD, account, clientOf, tell } from './chain.mjs'

const [shareholder, , recipient, sponsor, partner] = [0, 1, 2, 3, 4].map(account)
const client = clientOf(recipient)
// No realm: mppx takes the host it was asked at, without its port.
const mppx = Mppx.create({
  secretKey: process.env.MPP_SECRET_KEY,
  methods: [
    tempo.charge({
      currency: PATH_USD,
      feeToken: PATH_USD,
      getClient: () => client,
      recipient: recipient.address,
      store: Store.memory(),
    }),
  ],
})
const toPartner = { amount: '0.2', recipient: partner.address }
const toShareholder = { amount: '0.05', memo: `0x${'42'.repeat(32)}`, recipient: shareholder.address }
const routes = {
  '/charge': { amount: '0.01' },
  '/pull': { amount: '0.01', supportedModes: ['pull'] },
  '/push': { amount: '0.01', supportedModes: ['push'] },
  '/sponsored': { amount: '0.01', feePayer: sponsor },
  '/splits': { amount: '1', splits: [toPartner, toShareholder] },
  '/splits-sponsored': { amount: '1', feePayer: sponsor, splits: [toPartner] },
  '/zero': { amount: '0' },
  '/alpha': { amount: '0.5', currency: ALPHA_USD, description: 'pay in AlphaUSD', externalId: 'order-1' },
}

async function serve(request) {
  const path = new URL(request.url).pathname
  const terms = routes[path]
  if (!terms) return new Response(null, { status: 404 })
  const result = await mppx.charge(terms)(request)
  if (result.status === 402) return result.challenge
  return result.withReceipt(Response.json({ ok: true, path }))
}

const server = http.createServer(Request.toNodeListener(serve))
server.listen(Number(process.env.PORT ?? 0), '127.0.0.1', () =>
  tell({ ready: true, url: `http://127.0.0.1:${server.address().port}` }),
)
process.stdin.resume().on('end', () => process.exit(0))
