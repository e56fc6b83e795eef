// mppx sells by card, and by card or chain, until its standard input ends. STRIPE_URL and STRIPE_SECRET_KEY say whose cards; RPC_URL,
// CHAIN_ID, MPP_SECRET_KEY and PORT (0: a free one) say where.
import http from 'node:http'
import { Mppx, Request, Store, stripe, tempo } from 'mppx/server'
import Stripe from 'stripe'
import { PATH_USD, account, clientOf, named, tell } from './chain.mjs'

const recipient = account(2)
const client = clientOf(recipient)
const at = new URL(named('STRIPE_URL'))
const official = new Stripe(named('STRIPE_SECRET_KEY'), {
  host: at.hostname,
  port: at.port,
  protocol: 'http',
  maxNetworkRetries: 0,
  telemetry: false,
})
const cards = stripe.charge({
  client: official,
  currency: 'usd',
  decimals: 2,
  networkId: 'internal',
  paymentMethodTypes: ['card'],
})
const chain = tempo.charge({
  currency: PATH_USD,
  feeToken: PATH_USD,
  getClient: () => client,
  recipient: recipient.address,
  store: Store.memory(),
})
const secretKey = process.env.MPP_SECRET_KEY
const mppx = Mppx.create({ secretKey, methods: [cards] })
const guarded = Mppx.create({ secretKey, methods: [cards], requiresAuth: true })
const either = Mppx.create({ secretKey, methods: [chain, cards] })
const both = (amount) => either.compose(['tempo/charge', { amount }], ['stripe/charge', { amount }])
const order = { amount: '1', description: 'a pro plan', externalId: 'order-1', metadata: { plan: 'pro' } }
const routes = {
  '/card': mppx.charge({ amount: '5' }),
  '/dear': mppx.charge({ amount: '6' }),
  '/order': mppx.charge(order),
  '/yen': mppx.charge({ amount: '500', currency: 'jpy', decimals: 0 }),
  '/auth': guarded.charge({ amount: '5' }),
  '/either': both('1'),
  '/swapped': either.compose(['stripe/charge', { amount: '1' }], ['tempo/charge', { amount: '1' }]),
  '/cheap': both('0.1'),
}

async function serve(request) {
  const path = new URL(request.url).pathname
  const route = routes[path]
  if (!route) return new Response(null, { status: 404 })
  // The application's own guest list, which a payment is no way past.
  if (path === '/auth' && request.headers.get('authorization') !== 'Bearer guest') return new Response(null, { status: 401 })
  const result = await route(request)
  if (result.status === 402) return result.challenge
  return result.withReceipt(Response.json({ ok: true, path }))
}

const server = http.createServer(Request.toNodeListener(serve))
server.listen(Number(process.env.PORT ?? 0), '127.0.0.1', () =>
  tell({ ready: true, url: `http://127.0.0.1:${server.address().port}` }),
)
process.stdin.resume().on('end', () => process.exit(0))
