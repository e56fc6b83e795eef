// Calls every endpoint of the simulator through Stripe's own client, and prints one line of JSON: what passed, what failed.

import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import { createInterface } from 'node:readline'
import Stripe from 'stripe'

const { STRIPE_URL, STRIPE_SECRET_KEY, STRIPE_WEBHOOK_SECRET, STRIPE_NETWORK_ID } = process.env
const { hostname: host, port } = new URL(STRIPE_URL)
const client = (key, options) =>
  new Stripe(key, { host, port, protocol: 'http', maxNetworkRetries: 0, telemetry: false, ...options })
const stripe = client(STRIPE_SECRET_KEY)

// What only whoever runs the simulator can do.
const input = createInterface({ input: process.stdin })[Symbol.asyncIterator]()
const ask = async (what) => {
  console.log(JSON.stringify(what))
  await input.next()
}
const fault = (is) => ask({ do: 'fault', is })

const now = () => Math.floor(Date.now() / 1000)
const grant = async (payment_method, limits = {}) => {
  const token = await stripe.testHelpers.sharedPayment.grantedTokens.create({
    payment_method,
    usage_limits: { currency: 'usd', max_amount: 5000, expires_at: now() + 600, ...limits },
  })
  return token.id
}
const charge = (token, more = {}) => ({
  amount: 5000,
  currency: 'usd',
  confirm: true,
  automatic_payment_methods: { allow_redirects: 'never', enabled: true },
  payment_method_data: { shared_payment_granted_token: token },
  metadata: { mpp_challenge_id: token },
  ...more,
})
const refused = async (kind, promise) => {
  const error = await promise.then(
    () => assert.fail('it was not refused'),
    (error) => error,
  )
  assert.ok(error instanceof kind, `${error.constructor.name}, not ${kind.name}: ${error.message}`)
  return error
}
const { errors } = Stripe
const replayed = (object) => object.lastResponse.headers['idempotent-replayed'] === 'true'

const checks = {
  'a granted token is read, charged and consumed': async () => {
    const id = await grant('pm_card_visa')
    const fresh = await stripe.sharedPayment.grantedTokens.retrieve(id)
    assert.deepEqual([fresh.object, fresh.deactivated_at], ['shared_payment.granted_token', null])
    const paid = await stripe.paymentIntents.create(charge(id))
    assert.deepEqual([paid.status, paid.amount_received], ['succeeded', 5000])
    const spent = await stripe.sharedPayment.grantedTokens.retrieve(id)
    assert.deepEqual([spent.deactivated_reason, spent.usage_details.amount_captured.value], ['consumed', 5000])
  },
  'a token at the top level is charged too': async () => {
    const { payment_method_data, ...rest } = charge(await grant('pm_card_visa'))
    const paid = await stripe.paymentIntents.create({ ...rest, ...payment_method_data })
    assert.equal(paid.status, 'succeeded')
  },
  'a revoked token is refused': async () => {
    const id = await grant('pm_card_visa')
    const revoked = await stripe.testHelpers.sharedPayment.grantedTokens.revoke(id)
    assert.equal(revoked.deactivated_reason, 'revoked')
    await refused(errors.StripeInvalidRequestError, stripe.paymentIntents.create(charge(id)))
  },
  'a token over its limit is refused': async () => {
    const id = await grant('pm_card_visa', { max_amount: 4999 })
    const error = await refused(errors.StripeInvalidRequestError, stripe.paymentIntents.create(charge(id)))
    assert.equal(error.statusCode, 400)
  },
  'an issued token is made, read, charged and revoked': async () => {
    const issue = () =>
      stripe.sharedPayment.issuedTokens.create({
        payment_method: 'pm_card_visa',
        seller_details: { network_business_profile: STRIPE_NETWORK_ID },
        usage_limits: { currency: 'usd', max_amount: 5000, expires_at: now() + 600 },
      })
    const issued = await issue()
    assert.equal(issued.status, 'active')
    assert.equal((await stripe.paymentIntents.create(charge(issued.id))).status, 'succeeded')
    assert.equal((await stripe.sharedPayment.issuedTokens.retrieve(issued.id)).deactivated_reason, 'consumed')
    const other = await issue()
    assert.equal((await stripe.sharedPayment.issuedTokens.revoke(other.id)).status, 'deactivated')
  },
  'a declined card is a StripeCardError': async () => {
    const create = stripe.paymentIntents.create(charge(await grant('pm_card_chargeDeclinedInsufficientFunds')))
    const error = await refused(errors.StripeCardError, create)
    assert.deepEqual([error.statusCode, error.code, error.decline_code], [402, 'card_declined', 'insufficient_funds'])
    assert.equal(error.payment_intent.status, 'requires_payment_method')
    assert.ok(error.requestId.startsWith('req_'))
  },
  'a card that asks for more requires action': async () => {
    const intent = await stripe.paymentIntents.create(charge(await grant('pm_card_authenticationRequired')))
    assert.deepEqual([intent.status, intent.next_action.type], ['requires_action', 'use_stripe_sdk'])
    assert.equal((await stripe.paymentIntents.cancel(intent.id)).status, 'canceled')
  },
  'a slow payment is processing, and then succeeds': async () => {
    const intent = await stripe.paymentIntents.create(charge(await grant('pm_card_processing')))
    assert.equal(intent.status, 'processing')
    await ask({ do: 'conclude', id: intent.id })
    assert.equal((await stripe.paymentIntents.retrieve(intent.id)).status, 'succeeded')
  },
  'a lost answer is asked for again and not charged again': async () => {
    const token = await grant('pm_card_visa')
    await fault('answer_lost')
    const options = { idempotencyKey: `lost_${token}`, maxNetworkRetries: 2 }
    const paid = await stripe.paymentIntents.create(charge(token), options)
    assert.deepEqual([paid.status, replayed(paid)], ['succeeded', true])
    const all = await stripe.paymentIntents.search({ query: `metadata['mpp_challenge_id']:'${token}'` })
    assert.deepEqual(all.data.map((intent) => intent.id), [paid.id])
  },
  'a key in use is waited for': async () => {
    const token = await grant('pm_card_visa')
    await fault('slow')
    const create = (retries) =>
      stripe.paymentIntents.create(charge(token), { idempotencyKey: `slow_${token}`, maxNetworkRetries: retries })
    const [first, second] = await Promise.all([create(3), create(3)])
    assert.equal(first.id, second.id)
    assert.deepEqual([replayed(first), replayed(second)].sort(), [false, true])
  },
  'a stored server error stays': async () => {
    const token = await grant('pm_card_visa')
    await fault('server_error_stored')
    const create = () => stripe.paymentIntents.create(charge(token), { idempotencyKey: `error_${token}` })
    await refused(errors.StripeAPIError, create())
    const error = await refused(errors.StripeAPIError, create())
    assert.equal(error.headers['idempotent-replayed'], 'true')
  },
  'too many requests are a StripeRateLimitError': async () => {
    await fault('rate_limited')
    await refused(errors.StripeRateLimitError, stripe.customers.create({}))
  },
  'other parameters under the same key are a StripeIdempotencyError': async () => {
    const token = await grant('pm_card_visa')
    const options = { idempotencyKey: `other_${token}` }
    await stripe.paymentIntents.create(charge(token), options)
    const again = stripe.paymentIntents.create(charge(token, { amount: 4000 }), options)
    await refused(errors.StripeIdempotencyError, again)
  },
  'an unknown parameter and an amount too small are StripeInvalidRequestErrors': async () => {
    const token = await grant('pm_card_visa')
    const unknown = stripe.paymentIntents.create(charge(token, { nonsense: 1 }))
    const named = await refused(errors.StripeInvalidRequestError, unknown)
    assert.deepEqual([named.code, named.param], ['parameter_unknown', 'nonsense'])
    const small = stripe.paymentIntents.create(charge(token, { amount: 49 }))
    assert.equal((await refused(errors.StripeInvalidRequestError, small)).code, 'amount_too_small')
    await refused(errors.StripeInvalidRequestError, stripe.paymentIntents.retrieve('pi_none'))
  },
  'a wrong key is a StripeAuthenticationError': async () => {
    await refused(errors.StripeAuthenticationError, client('sk_test_wrong').paymentIntents.list())
  },
  'an older version knows no tokens': async () => {
    const token = await grant('pm_card_visa')
    const create = stripe.paymentIntents.create(charge(token), { apiVersion: '2026-07-29.dahlia' })
    const error = await refused(errors.StripeInvalidRequestError, create)
    assert.match(error.message, /Received unknown parameter/)
  },
  'what a connected account sold is read as that account': async () => {
    const options = { stripeAccount: 'acct_shop' }
    const paid = await stripe.paymentIntents.create(charge(await grant('pm_card_visa')), options)
    await refused(errors.StripeInvalidRequestError, stripe.paymentIntents.retrieve(paid.id))
    assert.equal((await stripe.paymentIntents.retrieve(paid.id, {}, options)).id, paid.id)
    await refused(errors.StripePermissionError, stripe.paymentIntents.list({}, { stripeAccount: 'nobody' }))
  },
  'lists are paged through': async () => {
    const ids = []
    for await (const intent of stripe.paymentIntents.list({ limit: 2, created: { gte: now() - 600 } })) ids.push(intent.id)
    assert.ok(ids.length > 4)
    assert.equal(new Set(ids).size, ids.length)
  },
  'a payment is given back in parts, and no more than all of it': async () => {
    const { id } = await stripe.paymentIntents.create(charge(await grant('pm_card_visa')))
    const part = await stripe.refunds.create({ payment_intent: id, amount: 2000, reason: 'requested_by_customer' })
    assert.deepEqual([part.amount, part.status], [2000, 'succeeded'])
    await refused(errors.StripeInvalidRequestError, stripe.refunds.create({ payment_intent: id, amount: 3001 }))
    assert.equal((await stripe.refunds.create({ payment_intent: id })).amount, 3000)
    assert.equal((await stripe.refunds.list({ payment_intent: id })).data.length, 2)
    assert.equal((await stripe.refunds.retrieve(part.id)).id, part.id)
  },
  'a subscription is begun, renewed, owed, paid and cancelled': subscription,
  'a subscription that is not paid for is not begun': async () => {
    const { customer, price } = await buyer()
    const method = await stripe.paymentMethods.attach('pm_card_chargeCustomerFail', { customer })
    const create = stripe.subscriptions.create({
      customer,
      items: [{ price }],
      default_payment_method: method.id,
      payment_behavior: 'error_if_incomplete',
    })
    await refused(errors.StripeCardError, create)
    assert.equal((await stripe.subscriptions.list({ customer })).data.length, 0)
  },
  'delivered events carry a signature that holds': events,
}

async function buyer() {
  const customer = (await stripe.customers.create({ email: 'a@example.com' })).id
  const product = await stripe.products.create({ name: 'Jokes' })
  const price = await stripe.prices.create({
    currency: 'usd',
    unit_amount: 1000,
    recurring: { interval: 'day', interval_count: 1 },
    product: product.id,
    lookup_key: `jokes_${customer}`,
  })
  const [found] = (await stripe.prices.list({ lookup_keys: [`jokes_${customer}`] })).data
  assert.equal(found.id, price.id)
  return { customer, price: price.id }
}

async function subscription() {
  const { customer, price } = await buyer()
  const good = await stripe.paymentMethods.attach('pm_card_visa', { customer })
  const bad = await stripe.paymentMethods.attach('pm_card_chargeCustomerFail', { customer })
  assert.equal((await stripe.paymentMethods.retrieve(good.id)).customer, customer)
  const { id, latest_invoice, items, status } = await stripe.subscriptions.create({
    customer,
    items: [{ price, quantity: 1 }],
    default_payment_method: good.id,
    collection_method: 'charge_automatically',
    payment_behavior: 'error_if_incomplete',
    proration_behavior: 'none',
    expand: ['latest_invoice.payments'],
  })
  assert.deepEqual([status, latest_invoice.status, latest_invoice.amount_paid], ['active', 'paid', 1000])
  assert.equal(latest_invoice.payments.data[0].status, 'paid')
  assert.equal(latest_invoice.parent.subscription_details.subscription, id)
  assert.equal(items.data[0].current_period_end - items.data[0].current_period_start, 86400)

  await ask({ do: 'advance', seconds: 90000 })
  const renewed = await stripe.invoices.list({ subscription: id })
  assert.deepEqual(renewed.data.map((invoice) => invoice.status), ['paid', 'paid'])
  await stripe.subscriptions.update(id, { default_payment_method: bad.id })
  await ask({ do: 'advance', seconds: 86400 })
  assert.equal((await stripe.subscriptions.retrieve(id)).status, 'past_due')
  const [owed] = (await stripe.invoices.list({ subscription: id, status: 'open' })).data
  await refused(errors.StripeCardError, stripe.invoices.pay(owed.id))
  assert.equal((await stripe.invoices.pay(owed.id, { payment_method: good.id })).status, 'paid')
  assert.equal((await stripe.invoicePayments.list({ invoice: owed.id })).data[0].status, 'paid')
  assert.equal((await stripe.invoices.listLineItems(owed.id)).data.length, 1)
  assert.equal((await stripe.subscriptions.retrieve(id)).status, 'active')

  await ask({ do: 'advance', seconds: 86400 })
  const [open] = (await stripe.invoices.list({ subscription: id, status: 'open' })).data
  assert.equal((await stripe.invoices.markUncollectible(open.id)).status, 'uncollectible')
  assert.equal((await stripe.invoices.voidInvoice(open.id)).status, 'void')
  await refused(errors.StripeInvalidRequestError, stripe.invoices.finalizeInvoice(open.id))

  assert.equal((await stripe.subscriptions.update(id, { cancel_at_period_end: true })).cancel_at_period_end, true)
  assert.equal((await stripe.subscriptions.cancel(id)).status, 'canceled')
}

async function events() {
  const heard = []
  const server = createServer(async (request, response) => {
    let body = ''
    for await (const part of request) body += part
    try {
      // The simulator's clock has been moved on: a signature of the future is none too old.
      heard.push(stripe.webhooks.constructEvent(body, request.headers['stripe-signature'], STRIPE_WEBHOOK_SECRET))
      response.writeHead(200).end()
    } catch {
      response.writeHead(400).end()
    }
  })
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
  await ask({ do: 'deliver', to: `http://127.0.0.1:${server.address().port}/` })
  server.close()
  server.closeAllConnections()
  const kinds = new Set(heard.map((event) => event.type))
  for (const kind of [
    'payment_intent.succeeded',
    'payment_intent.payment_failed',
    'invoice.paid',
    'invoice.payment_failed',
    'customer.subscription.created',
    'customer.subscription.updated',
    'customer.subscription.deleted',
  ])
    assert.ok(kinds.has(kind), kind)
  const event = await stripe.events.retrieve(heard[0].id)
  assert.equal(event.type, heard[0].type)
  const body = JSON.stringify(event)
  const signature = stripe.webhooks.generateTestHeaderString({ payload: body, secret: 'whsec_other' })
  assert.throws(
    () => stripe.webhooks.constructEvent(body, signature, STRIPE_WEBHOOK_SECRET),
    errors.StripeSignatureVerificationError,
  )
}

const passed = []
const failed = []
for (const [name, check] of Object.entries(checks)) {
  try {
    await check()
    passed.push(name)
  } catch (error) {
    failed.push(`${name}: ${error.message}`)
  }
}
console.log(JSON.stringify({ client: `stripe ${Stripe.PACKAGE_VERSION}`, passed, failed }))
process.exit(failed.length === 0 ? 0 : 1)
